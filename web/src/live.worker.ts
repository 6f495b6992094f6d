// SPDX-License-Identifier: Apache-2.0
// The exchange of all tabs of this browser, one for each address of a hub.
import { Exchange } from './exchange';

const exchanges = new Map<string, Exchange>();

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0];
  let exchange: Exchange | undefined, tab: ReturnType<Exchange['join']> | undefined;
  port.onmessage = ({ data }) => {
    if (data.bye) {
      if (tab) exchange!.leave(tab);
      tab = undefined;
      return;
    }
    exchange ??= exchanges.get(data.url) ?? new Exchange(data.url);
    exchanges.set(data.url, exchange);
    tab ??= exchange.join((news) => port.postMessage(news));
    exchange.set(tab, data.watch, data.anew);
  };
};
// A browser slows the timers of a hidden tab down to one a minute.
setInterval(() => {
  for (const exchange of exchanges.values()) exchange.sweep(150e3);
}, 30e3);
