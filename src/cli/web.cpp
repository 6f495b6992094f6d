// SPDX-License-Identifier: Apache-2.0
#include "cli/web.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace geres::cli {
namespace {

bool has_display() {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  return set("DISPLAY") || set("WAYLAND_DISPLAY");
}

// Left to itself: some desktops' programs end only with the browser. Whether it worked nobody can tell.
void open_with_desktop(const std::string& url) {
  const pid_t child = ::fork();
  if (child < 0) return;
  if (child == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int stream : {0, 1, 2}) ::dup2(nowhere, stream);
    ::execlp("xdg-open", "xdg-open", url.c_str(), nullptr);
    ::_exit(127);
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// A link with which a browser is signed in as whoever asks. Printed and not opened: on a command line every user of the
// machine could read it.
int web(Context& context) {
  const auto page = page_url(context);
  const auto made = context.ask(context.hub().post("/v1/session/codes", json::object()));
  const auto link = page + "#login=" + text_of(made, "code");
  if (context.output.look.json) {
    auto body = made.get_object();
    body["link"] = link;
    context.output.json(body);
    return kDone;
  }
  context.output.line(link);
  context.output.hint("It signs one browser in, once, within a minute.");
  return kDone;
}

}  // namespace

Flag web_flag() {
  return {.name = "web", .help = "open the hub's page of it in a browser, and print its address"};
}

std::string page_url(Context& context) {
  const auto info = context.ask(context.hub().get("/v1/info"));
  const auto page = text_of(info, "page");
  if (page.empty())
    cannot("this hub has no page", "it is of a version, or was built, without", "geres status", "--web");
  return page.starts_with('/') ? context.hub_url() + page : page;
}

int show_in_browser(Context& context, const std::string& path) {
  const auto url = page_url(context) + path;
  const auto& look = context.output.look;
  if (look.json) {
    context.output.json(json::object{{"page", std::string_view(url)}});
    return kDone;
  }
  if (look.out_terminal && has_display()) open_with_desktop(url);
  context.output.line(url);
  return kDone;
}

std::vector<Command> web_commands() {
  return {{.path = "web",
           .sentence = "A link to the hub's page that signs a browser in, once",
           .usage = {""},
           .examples = {"geres web"},
           .flags = {},
           .run = web,
           .group = Group::hidden}};  // the head of the help has it
}

}  // namespace geres::cli
