// SPDX-License-Identifier: Apache-2.0
import { render } from 'preact';
import { App } from './app';
import { follow } from './route';
import './style.css';

follow();
render(<App />, document.getElementById('app')!);
