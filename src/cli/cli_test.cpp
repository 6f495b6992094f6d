// SPDX-License-Identifier: Apache-2.0
// The parts of the command line that need no hub: tables, words, help, command packages, bars.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <regex>
#include <set>

#include "base/file.h"
#include "cli/answer_fields.h"
#include "cli/command_package.h"
#include "cli/completion.h"
#include "cli/context.h"
#include "cli/credentials.h"
#include "cli/event_words.h"
#include "cli/help.h"
#include "cli/moments.h"
#include "cli/progress_view.h"
#include "cli/scaler_words.h"
#include "cli/terminal_filter.h"
#include "cli/top.h"

namespace geres::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

Trouble trouble_of(const std::vector<std::string>& args) {
  try {
    parse_words(args);
  } catch (const Trouble& trouble) {
    return trouble;
  }
  return {kDone, "no trouble"};
}

TEST(Words, TakeACommandItsFlagsAndArguments) {
  const auto words = parse_words({"submit", "--tenant=demo", "--param", "a=1", "--param", "b=-2", "--priority", "-5",
                                  "--wait", "--", "echo", "--x"});
  EXPECT_EQ(words.command->path, "submit");
  EXPECT_EQ(words.value("tenant"), "demo");
  EXPECT_THAT(words.flags.at("param"), ElementsAre("a=1", "b=-2"));
  EXPECT_EQ(words.value("priority"), "-5");
  EXPECT_TRUE(words.has("wait"));
  EXPECT_THAT(words.after_dashes, ElementsAre("echo", "--x"));
  EXPECT_EQ(parse_words({"--hub", "http://h", "job", "show", "last"}).value("hub"), "http://h");
  EXPECT_TRUE(parse_words({"job", "log", "-f", "last"}).has("follow"));
}

TEST(Words, NameTheNearestCommand) {
  EXPECT_EQ(trouble_of({"sumbit"}).next, "geres submit");
  EXPECT_EQ(trouble_of({"job", "lsit"}).next, "geres job list");
  EXPECT_EQ(trouble_of({"hosts", "drian"}).next, "geres hosts drain");
  EXPECT_EQ(trouble_of({"push"}).next, "geres package push");
  EXPECT_EQ(trouble_of({"sumbit"}).exit, kUsage);
  EXPECT_THAT(trouble_of({"job"}).why, HasSubstr("redrive"));
}

TEST(Fields, AreThoseOfTheContract) {
  const auto contract = split(read_file(GERES_SOURCE_DIR "/api/openapi.yaml"), '\n');
  for (const char* schema : {"Batch", "Delivery", "Event", "Host", "Machine", "Package", "Pool", "ScalerDecision",
                             "Tenant", "Token", "Webhook"}) {
    const std::string name = schema;
    auto line = std::find(contract.begin(), contract.end(), "    " + name + "Members:");
    if (line == contract.end()) line = std::find(contract.begin(), contract.end(), "    " + name + ":");
    ASSERT_NE(line, contract.end()) << schema;
    // Members are indented two columns more than the outermost "properties:".
    std::set<std::string> there;
    std::size_t members_at = 0;
    for (++line; line != contract.end() && line->starts_with("     "); ++line) {
      const auto indent = line->find_first_not_of(' ');
      if (members_at == 0 && line->ends_with(" properties:")) members_at = indent + 2;
      if (members_at != 0 && indent == members_at) there.insert(line->substr(indent, line->find(':') - indent));
    }
    const auto known = answer_fields(schema);
    EXPECT_EQ(std::set<std::string>(known.begin(), known.end()), there) << schema;
  }
  EXPECT_EQ(answer_fields("Job").empty(), false);
  EXPECT_THROW(with_fields(json::array(), {"id", "nonsense"}, answer_fields("Job")), Trouble) << "where no row is, too";
  EXPECT_NO_THROW(with_fields(json::array{json::object{{"id", "1"}}}, {"id", "error"}, answer_fields("Job")));
}

// No id and no state is cut at any width. Columns that can be left out go, first those whose rows all say the same.
TEST(Tables, HoldOnTheNarrowestTerminal) {
  Table table({{"ID"}, {"TYPE", false, true}, {"STATE"}, {"NOTE", false, true}});
  table.add({"…b2f41c77", "Thumbnail", "failed (maxAttempts)", "it says much"});
  Look look;
  look.out_terminal = true;
  EXPECT_EQ(table.text(look, 40), "ID         TYPE     STATE\n…b2f41c77  Thumbn…  failed (maxAttempts)\n");
  EXPECT_EQ(table.text(look, 32), "ID         STATE\n…b2f41c77  failed (maxAttempts)\n");
  EXPECT_EQ(table.text(look, 20), "ID\n…b2f41c77\n");
}

TEST(Tables, FitNarrowTerminals) {
  const auto shown = [](int width, bool same_host) {
    Table table({{"ID"},
                 {"NAME", false, true},
                 {"STATE"},
                 {"TENANT", false, true, 5},
                 {"HOST", false, true, 3},
                 {"SUBMITTED", false, false, 1}});
    for (int i = 0; i < 3; ++i)
      table.add({"…0859e77" + std::to_string(i), "a name that is much longer than it has to be, by far", "scheduled",
                 "demo", same_host ? "worker-1" : "worker-" + std::to_string(i), "2 minutes ago"});
    Look look;
    look.out_terminal = true;
    return split(table.text(look, width), '\n');
  };
  for (const int width : {40, 60, 80, 200})
    for (const bool same_host : {true, false})
      for (const auto& line : shown(width, same_host)) {
        EXPECT_LE(display_width(line), std::size_t(width)) << line;
        if (line.empty() || line.starts_with("ID")) continue;
        EXPECT_TRUE(line.starts_with("…0859e77")) << line;
        EXPECT_NE(line.find("scheduled"), std::string::npos) << line;
      }
  EXPECT_NE(shown(200, true)[0].find("TENANT"), std::string::npos);
  EXPECT_EQ(shown(80, false)[0].find("TENANT"), std::string::npos);
  EXPECT_NE(shown(80, false)[0].find("HOST"), std::string::npos) << "it says something";
  EXPECT_EQ(shown(80, true)[0].find("HOST"), std::string::npos);
}

TEST(Words, OfOtherToolsAreUnderstood) {
  const auto path = [](const std::vector<std::string>& args) { return parse_words(args).command->path; };
  EXPECT_EQ(path({"jobs"}), "job list");
  EXPECT_EQ(path({"jobs", "cancel", "last"}), "job cancel");
  EXPECT_EQ(path({"batches", "show", "b"}), "batch show");
  EXPECT_EQ(path({"--quiet", "logs", "last"}), "job log");
  EXPECT_EQ(path({"hosts", "list"}), "hosts");
  EXPECT_EQ(path({"packages"}), "package list");
  EXPECT_EQ(*parse_words({"ps"}).value("state"), "scheduled,blocked,ready,leased,running");
  EXPECT_TRUE(parse_words({"-v"}).has("version"));
  const auto run = parse_words({"run", "--timeout", "5s", "sh", "-c", "exit 3"});
  EXPECT_EQ(run.command->path, "submit");
  EXPECT_TRUE(run.has("wait") && run.has("exit-status"));
  EXPECT_EQ(run.after_dashes, (std::vector<std::string>{"sh", "-c", "exit 3"}));
  EXPECT_EQ(parse_words({"submit", "echo", "--wait", "--", "x"}).after_dashes,
            (std::vector<std::string>{"echo", "--wait", "--", "x"}))
      << "what follows the command is its own";
  EXPECT_EQ(parse_words({"submit", "--each-input", "a.jpg", "b.jpg", "--type", "T"}).arguments,
            std::vector<std::string>{"b.jpg"});
  for (const auto& alias : aliases()) {
    EXPECT_EQ(find_command(joined(alias.words, " ")), nullptr) << alias.words[0] << " hides a command";
    EXPECT_NE(find_command(alias.means.size() == 1      ? alias.means[0]
                           : alias.means[0] == "submit" ? "submit"
                                                        : alias.means[0] + " " + alias.means[1]),
              nullptr);
  }
}

TEST(Words, AGuessCrossesNoNounsAndStartsNoDaemon) {
  EXPECT_EQ(trouble_of({"hosts", "lst"}).next, "geres hosts --help");
  EXPECT_EQ(trouble_of({"batch", "rotate", "photos"}).next, "geres batch --help");
  for (const char* word : {"upp", "hubb", "hostt", "hos"}) {
    const auto next = trouble_of({word}).next;
    EXPECT_TRUE(next != "geres up" && next != "geres hub" && next != "geres host") << word << ": " << next;
  }
}

TEST(Words, NameTheWrongFlagAlsoBesideAMissingOne) {
  const auto trouble = trouble_of({"submit", "--tenat", "demo"});
  EXPECT_EQ(trouble.error, "'submit' has no flag --tenat");
  EXPECT_EQ(trouble.next, "--tenant");
  EXPECT_EQ(trouble.field, "--tenat");
}

TEST(Words, KnowWhatOtherProgramsCallAFlag) {
  EXPECT_EQ(trouble_of({"up", "--port", "9000"}).next, "--listen ADDRESS");
  EXPECT_EQ(trouble_of({"hub", "--bind", "0.0.0.0"}).next, "--listen ADDRESS");
}

TEST(Words, ThatCanNeverBeRightEndWithTwo) {
  for (const auto& command : commands()) {
    SCOPED_TRACE(command.path);
    std::vector<std::string> words = split(command.path, ' ');
    const auto with = [&](const std::vector<std::string>& more) {
      auto all = words;
      all.insert(all.end(), more.begin(), more.end());
      return trouble_of(all);
    };
    if (!command.run) {
      EXPECT_EQ(with({}).exit, kUsage);
      continue;
    }
    if (command.arguments_min > 0) {
      EXPECT_EQ(with({}).exit, kUsage);
    }
    for (std::size_t i = 0; i < command.arguments_min; ++i) words.push_back("x");
    EXPECT_EQ(with({"--no-such-flag"}).exit, kUsage);
    EXPECT_EQ(with({"--no-such-flag"}).field, "--no-such-flag");
    if (command.arguments_max != kAnyNumber && !command.takes_words && subcommands(command.path).empty()) {
      EXPECT_EQ(with(std::vector<std::string>(command.arguments_max - command.arguments_min + 1, "y")).exit, kUsage);
    }
    for (const auto* flag : all_flags(command)) {
      const auto name = "--" + flag->name;
      SCOPED_TRACE(name);
      if (flag->value.empty()) {
        EXPECT_EQ(with({name + "=yes"}).exit, kUsage);
        continue;
      }
      EXPECT_EQ(with({name}).exit, kUsage);
      EXPECT_EQ(with({name, ""}).exit, kUsage);
      if (flag->kind != Kind::text) {
        EXPECT_EQ(with({name, "=?"}).exit, kUsage);
        EXPECT_EQ(with({name, "=?"}).field, name);
      }
    }
  }
}

// The time is twelve o'clock, 2026-11-29, in a zone one hour ahead of London.
TEST(Moments, AreWhatPeopleType) {
  ::setenv("TZ", "CET-1", 1);
  ::tzset();
  const auto at = [](const char* text) { return parse_time(text).value(); };
  const Millis now = at("2026-11-29T11:00:00Z");
  const auto ahead = [&](const char* text) { return moment_of(text, now, Toward::future); };
  const auto behind = [&](const char* text) { return moment_of(text, now, Toward::past); };
  EXPECT_EQ(ahead("now"), now);
  EXPECT_EQ(ahead("1h 30m"), now + 5'400'000);
  EXPECT_EQ(behind("2w"), now - 14 * 86'400'000);
  EXPECT_EQ(ahead("18:00"), at("2026-11-29T17:00:00Z"));
  EXPECT_EQ(behind("18:00"), at("2026-11-28T17:00:00Z"));
  EXPECT_EQ(ahead("9:30"), at("2026-11-30T08:30:00Z"));
  EXPECT_EQ(behind("9:30:15"), at("2026-11-29T08:30:15Z"));
  EXPECT_EQ(ahead("tomorrow"), at("2026-11-29T23:00:00Z"));
  EXPECT_EQ(ahead("tomorrow 18:00"), at("2026-11-30T17:00:00Z"));
  EXPECT_EQ(behind("yesterday"), at("2026-11-27T23:00:00Z"));
  EXPECT_EQ(behind("today"), at("2026-11-28T23:00:00Z"));
  EXPECT_EQ(ahead("2026-12-01"), at("2026-11-30T23:00:00Z"));
  EXPECT_EQ(ahead("2026-12-01 18:00"), at("2026-12-01T17:00:00Z"));
  EXPECT_EQ(ahead("2026-12-01T18:00"), at("2026-12-01T17:00:00Z"));
  EXPECT_EQ(ahead("2026-12-01T18:00:00Z"), at("2026-12-01T18:00:00Z"));
  for (const char* text : {"", "soon", "25:00", "12:60", "12", "2026-13-01", "2026-02-30", "tomorrow 25:00",
                           "tomorrow ", "18:00 tomorrow", "-2h", "1:2", "26-12-01", "today18:00"})
    EXPECT_EQ(ahead(text), std::nullopt) << text;
  for (const auto toward : {Toward::past, Toward::future})
    EXPECT_THAT(moment_examples("--since", toward), HasSubstr("18:00"));
  ::unsetenv("TZ");
  ::tzset();
}

TEST(Events, SayWhatHappened) {
  const auto said = [](const std::string& type, const char* data) {
    return event_words(type, json::parse(data).value(), parse_time("2026-11-29T11:00:00Z").value());
  };
  EXPECT_EQ(said("job.submitted", R"({"type":"Greet","name":"a.jpg","submittedBy":"ci"})"), "Greet, a.jpg, by ci");
  EXPECT_EQ(said("job.submitted", R"({"type":"Greet","dueAt":"2026-11-29T11:10:00Z"})"), "Greet, due in 10m 0s");
  EXPECT_EQ(said("job.leased", R"({"host":"rack7"})"), "rack7 has it");
  EXPECT_EQ(said("job.started", R"({"host":"rack7"})"), "on rack7");
  EXPECT_EQ(said("job.progressed", R"({"progress":{"percent":42,"message":"resizing"}})"), "42% resizing");
  EXPECT_EQ(
      said("job.retrying", R"({"error":"oops","exit":{"code":3},"failures":2,"dueAt":"2026-11-29T11:00:02.500Z"})"),
      "exit 3: oops; 2 failures so far; again in 2.5 s");
  EXPECT_EQ(said("job.retrying", R"({"error":"the host was lost"})"), "the host was lost; again at once");
  EXPECT_EQ(said("job.failed", R"({"reason":"error","error":"exit 3: oops","exit":{"code":3},"host":"rack7"})"),
            "error: exit 3: oops, on rack7");
  EXPECT_EQ(
      said("job.finished", R"({"exit":{"code":0},"host":"rack7","result":"hello","startedAt":"2026-11-29T10:59:00Z",
                                     "finishedAt":"2026-11-29T10:59:01.500Z"})"),
      "exit 0, after 1.5 s, on rack7: hello");
  EXPECT_EQ(said("host.joined", R"({"name":"rack7","slots":8})"), "rack7, 8 slots");
}

TEST(Words, SayWhatAValueShouldBe) {
  EXPECT_EQ(trouble_of({"submit", "--delay", "soon"}).error, "--delay 'soon' is not a duration");
  EXPECT_THAT(trouble_of({"submit", "--delay", "soon"}).next, HasSubstr("--delay 30s"));
  EXPECT_EQ(trouble_of({"submit", "--not-before", "soon"}).error, "--not-before 'soon' is not a time");
  EXPECT_THAT(trouble_of({"submit", "--not-before", "soon"}).next, HasSubstr("--not-before 18:00, tomorrow"));
  EXPECT_THAT(trouble_of({"job", "list", "--since", "soon"}).next, HasSubstr("--since 2h (ago)"));
  EXPECT_THAT(trouble_of({"submit", "--memory", "much"}).next, HasSubstr("2gb"));
  EXPECT_EQ(trouble_of({"submit", "--count", "ten"}).field, "--count");
  EXPECT_THAT(trouble_of({"submit", "--param", "x"}).error, HasSubstr("NAME=VALUE"));
  EXPECT_EQ(trouble_of({"job", "list", "--state", "faild"}).next, "--state failed");
  EXPECT_EQ(trouble_of({"job", "list", "--state", "failed,finished"}).exit, kDone);
  EXPECT_EQ(trouble_of({"submit", "--tenant"}).error, "--tenant needs a value");
  EXPECT_EQ(trouble_of({"submit", "--tenant", "--wait"}).error, "--tenant needs a value");
  EXPECT_EQ(trouble_of({"submit", "--wait=yes"}).error, "--wait takes no value");
  EXPECT_EQ(trouble_of({"watch", "--job", "a", "--job", "b"}).error, "--job is given twice");
  EXPECT_EQ(trouble_of({"job", "show"}).error, "'job show' needs an argument");
  EXPECT_EQ(trouble_of({"job", "show", "a", "b"}).error, "'b' is one word too many");
}

TEST(LeftToken, BelongsToItsHubAndToNoOther) {
  LeftToken left{"admin.token", "secret", "http://127.0.0.1:8080"};
  for (const char* own :
       {"http://127.0.0.1:8080", "http://localhost:8080/", "http://127.0.0.2:8080/v1", "http://[::1]:8080"})
    EXPECT_TRUE(left.belongs_to(own)) << own;
  for (const char* other :
       {"http://127.0.0.1:8081", "http://127.0.0.1", "https://127.0.0.1:8080", "http://10.0.0.7:8080",
        "http://hub:8080", "http://127.evil.example:8080", "http://localhost.evil.example:8080",
        "http://127.0.0.1:8080@evil.example", "http://evil.example:8080#127.0.0.1:8080",
        "http://evil.example:8080/http://127.0.0.1:8080", "127.0.0.1:8080", ""})
    EXPECT_FALSE(left.belongs_to(other)) << other;
  left.hub = "http://0.0.0.0:8080";
  EXPECT_TRUE(left.belongs_to("http://127.0.0.1:8080"));
  EXPECT_FALSE(left.belongs_to("http://10.0.0.7:8080"));
  left.hub = "http://10.0.0.7:8080";
  EXPECT_TRUE(left.belongs_to("http://10.0.0.7:8080"));
  EXPECT_FALSE(left.belongs_to("http://127.0.0.1:8080"));
  left.hub.clear();  // left by a hub of 0.1.0
  EXPECT_TRUE(left.belongs_to("http://localhost:8080"));
  EXPECT_FALSE(left.belongs_to("http://localhost:9000"));
  EXPECT_FALSE(left.belongs_to("https://127.0.0.1:8080"));
  EXPECT_FALSE(left.belongs_to("http://10.0.0.7:8080"));
}

TEST(Troubles, BreakBetweenWordsOnATerminalAndLeaveCommandsWhole) {
  const Trouble trouble{kFailed, "one two three four five six", "seven eight nine ten eleven",
                        "geres a command that is long enough to be cut"};
  EXPECT_EQ(trouble_text(trouble, false, 24),
            "error: one two three\n       four five six\n  why: seven eight nine\n       ten eleven\n"
            "  try: geres a command that is long enough to be cut\n");
  EXPECT_THAT(trouble_text(trouble, false), HasSubstr("three four five six\n"));
}

// Checks usage lines. Each of these may be followed by "...":
//   usage = piece*
//   piece = "[" usage "]" | "{" usage ("|" usage)* "}" | "<" word ("|" word)* ">" | word
class Grammar {
 public:
  explicit Grammar(const std::string& text) : text_(text) {}
  bool whole() {
    const bool fine = usage("");
    return fine && at_ == text_.size();
  }

 private:
  bool usage(const std::string& until) {
    while (at_ < text_.size() && until.find(text_[at_]) == std::string::npos) {
      const char c = text_[at_];
      if (c == ' ' || c == '=' || c == ',') {
        ++at_;
      } else if (c == '[') {
        if (!bracket("]")) return false;
      } else if (c == '{') {
        if (!bracket("|}")) return false;
      } else if (c == '<') {
        std::smatch match;
        static const std::regex kPlace("<[a-z.-]+( \\| [a-z.-]+)*>");
        if (!std::regex_search(text_.cbegin() + std::ptrdiff_t(at_), text_.cend(), match, kPlace,
                               std::regex_constants::match_continuous))
          return false;
        at_ += std::size_t(match.length());
      } else if (std::isalnum(static_cast<unsigned char>(c)) || c == '-') {
        ++at_;
      } else {
        return false;
      }
      if (text_.compare(at_, 3, "...") == 0) at_ += 3;
    }
    return true;
  }
  bool bracket(const std::string& ends) {
    do {
      ++at_;
      if (!usage(ends)) return false;
      if (at_ >= text_.size()) return false;
    } while (text_[at_] == '|');
    ++at_;
    return true;
  }
  std::string text_;
  std::size_t at_ = 0;
};

TEST(Help, KeepsToOneUsageGrammar) {
  EXPECT_FALSE(Grammar("[--a <b>").whole());
  EXPECT_FALSE(Grammar("FILE*").whole());
  for (const auto& command : commands())
    for (const auto& usage : command.usage) EXPECT_TRUE(Grammar(usage).whole()) << command.path << " " << usage;
}

// Splits words as a shell does, as far as the examples need it. Stops at a redirection.
std::vector<std::string> shell_words(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false, any = false;
  for (const char c : line + " ") {
    if (c == '\'') {
      quoted = !quoted;
      any = true;
    } else if (c == ' ' && !quoted) {
      if (word == ">" && !any) return words;
      if (!word.empty() || any) words.push_back(word);
      word.clear();
      any = false;
    } else {
      word += c;
    }
  }
  return words;
}

void expect_parses(const std::string& line) {
  auto words = shell_words(line);
  ASSERT_FALSE(words.empty());
  ASSERT_EQ(words[0], "geres") << line;
  words.erase(words.begin());
  try {
    const auto parsed = parse_words(words);
    EXPECT_NE(parsed.command, nullptr) << line;
  } catch (const Trouble& trouble) {
    ADD_FAILURE() << line << "\n" << trouble.error;
  }
}

TEST(Help, HasExamplesThatParse) {
  for (const auto& command : commands()) {
    if (command.sentence.find("not available") != std::string::npos) continue;
    EXPECT_FALSE(command.examples.empty()) << command.path;
    EXPECT_LE(command.examples.size(), 4u) << command.path;
    for (const auto& example : command.examples) expect_parses(example);
  }
}

TEST(Help, TopicsShowCommandsThatParse) {
  std::size_t found = 0;
  for (const auto& topic : topics())
    for (const auto& line : split(topic.text, '\n')) {
      const auto start = line.find("       geres ");
      if (start != 0 || line.find("./thumbnails") != std::string::npos) continue;
      expect_parses(line.substr(7));
      ++found;
    }
  EXPECT_GT(found, 5u);
}

// Finds where a shell would begin a command: after a prompt, variable assignments, a pipe, "&&".
std::vector<std::string> geres_commands(std::string shown) {
  static const std::regex kComment("(^|\\s)#.*");
  shown = std::regex_replace(shown, kComment, "");
  static const std::regex kCommand(
      R"((?:^|[|;] *|\$\( *|&& *|\$ +)(?:[A-Z_]+=\S+ +)*(?:build/bin/)?(geres (?:'[^']*'|[^|;&#)'])*))");
  std::vector<std::string> found;
  for (auto at = std::sregex_iterator(shown.begin(), shown.end(), kCommand); at != std::sregex_iterator(); ++at)
    found.push_back((*at)[1]);
  return found;
}

TEST(Help, DocumentsShowCommandsThatThereAre) {
  EXPECT_THAT(geres_commands("hub$   GERES_TOKEN=x geres host --slots 8   # fine | geres no"),
              ElementsAre("geres host --slots 8  "));
  namespace fs = std::filesystem;
  const fs::path source = GERES_SOURCE_DIR;
  std::vector<fs::path> documents;
  for (const char* directory : {".", "docs", "docs/help", "examples"})
    for (const auto& entry : fs::directory_iterator(source / directory))
      if (const auto kind = entry.path().extension(); kind == ".md" || kind == ".txt")
        documents.push_back(entry.path());
  static const std::regex kInline("`(geres [^`]*)`");
  std::size_t tried = 0;
  for (const auto& document : documents) {
    // The changelog uses the words of its time; screens and errors have a test of their own.
    if (document.filename() == "CHANGELOG.md" || document.filename() == "screens.md") continue;
    std::string text = read_file(document);
    for (std::size_t at; (at = text.find("\\\n")) != std::string::npos;) text.replace(at, 2, " ");
    bool block = false;
    for (const auto& line : split(text, '\n')) {
      if (line.starts_with("```")) block = !block;
      std::vector<std::string> shown = block ? geres_commands(line) : std::vector<std::string>();
      for (auto at = std::sregex_iterator(line.begin(), line.end(), kInline); !block && at != std::sregex_iterator();
           ++at)
        shown.push_back((*at)[1]);
      for (const auto& command : shown) {
        auto words = shell_words(command);
        words.erase(words.begin());
        const auto trouble = trouble_of(words);
        // Running text leaves out what goes without saying.
        if (!block && trouble.error.find("has no flag") == std::string::npos &&
            trouble.error.find("there is no command") == std::string::npos)
          continue;
        EXPECT_EQ(trouble.exit, kDone) << document << ": " << command << "\n" << trouble.error;
        ++tried;
      }
    }
  }
  EXPECT_GT(tried, 20u);
}

TEST(Help, FitsOnAScreen) {
  const auto top = top_help(false);
  EXPECT_LE(std::count(top.begin(), top.end(), '\n'), 24);
  for (const auto& line : split(top, '\n')) EXPECT_LE(line.size(), 100u) << line;
  for (const char* group : {"Everyday", "Fleet", "Admin"}) EXPECT_THAT(top, HasSubstr(group));
  const auto submit = command_help(*find_command("submit"), false);
  EXPECT_THAT(submit, HasSubstr("[GERES_TENANT]"));
  EXPECT_THAT(submit, HasSubstr("Examples"));
}

TEST(Text, NeverLetsAHubMoveTheCursor) {
  EXPECT_EQ(clean("a\x1b[31mb\nc\xff"), "a\uFFFD[31mb c\uFFFD");
  EXPECT_EQ(clean("\u202Eevil"), "\uFFFDevil");
}

TEST(Text, NamesOfFilesAreToldApartAndHarmless) {
  EXPECT_EQ(escaped_name("grüße/a b.txt"), "grüße/a b.txt");
  EXPECT_EQ(escaped_name("back\\slash"), "back\\slash");
  EXPECT_EQ(escaped_name("new\nline\tand\r"), "new\\nline\\tand\\r");
  EXPECT_EQ(escaped_name("\x1b[31m\x7f"), "\\x1b[31m\\x7f");
  EXPECT_EQ(escaped_name("rtl-\u202etxt.exe \u2028 \u0085"), "rtl-\\u202etxt.exe \\u2028 \\x85");
  EXPECT_EQ(escaped_name("latin1-\xe9"), "latin1-\\xE9");
}

std::string filtered(std::string_view text) {
  const std::string at_once = for_terminal(text);
  TerminalFilter piecemeal;
  std::string pieces;
  for (const char c : text) pieces += piecemeal.pass({&c, 1});
  pieces += piecemeal.finish();
  EXPECT_EQ(pieces, at_once) << "wherever it is cut";
  return at_once;
}

TEST(TerminalFilter, LetsTextAndColoursPass) {
  EXPECT_EQ(filtered("grüße, 日本 😀\r\n\tyes\n"), "grüße, 日本 😀\r\n\tyes\n");
  EXPECT_EQ(filtered("\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mtrue\x1b[m"),
            "\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mtrue\x1b[m");
  EXPECT_EQ(filtered("\x1b[31mred"), "\x1b[31mred\x1b[0m") << "what comes after is not coloured";
}

TEST(TerminalFilter, LeavesOutWhatWouldDoMore) {
  EXPECT_EQ(filtered("a\x1b]0;title\x07z"), "az");
  EXPECT_EQ(filtered("a\x1b]52;c;ZXZpbA==\x1b\\z"), "az") << "the clipboard";
  EXPECT_EQ(filtered("a\x1b[2J\x1b[1;1H\x1b[6n\x1b[?1049hz"), "az") << "the screen, the cursor, questions";
  EXPECT_EQ(filtered("a\x1bP$q q\x1b\\\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\z"), "az");
  EXPECT_EQ(filtered("a\x1b"
                     "c\x1b(0\x1b#8\x1b=z"),
            "az")
      << "reset, character sets";
  EXPECT_EQ(filtered("a\x07\x08\x0b\x7fz"), "az");
  EXPECT_EQ(filtered("a\x9b"
                     "31mz\xc2\x9b"
                     "1m\xff"),
            "a\uFFFD31mz\uFFFD1m\uFFFD")
      << "C1, as a byte and in UTF-8";
  EXPECT_EQ(filtered("a\u202e\u2066z"), "a\uFFFD\uFFFDz") << "the direction of writing";
  EXPECT_EQ(filtered("a\x1b[>4;1mz\x1b[1 mz"), "azz") << "what only ends as a colour does";
  EXPECT_EQ(filtered("a\x1b"), "a");
  EXPECT_EQ(filtered("a\xc3"), "a\uFFFD");
}

TEST(Text, MeasuresAndCutsByColumns) {
  EXPECT_EQ(display_width("größe"), 5u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(fit("thumbnails", 5), "thum…");
  EXPECT_EQ(fit("日本語", 4), "日…");
  EXPECT_EQ(short_id("0192f0c4-7d3a-7001-8f2e-0123456789ab"), "…456789ab");
  EXPECT_EQ(took(20), "0.02 s");
  EXPECT_EQ(took(2'140), "2.1 s");
  EXPECT_EQ(took(80'000), "1m 20s");
  EXPECT_EQ(ago(1'000, 41'000), "40s ago");
  EXPECT_EQ(grouped(2'113'000), "2,113,000");
  EXPECT_EQ(plural(2, "batch"), "2 batches");
}

TEST(Tables, FitATerminalAndAreBareInAPipe) {
  Table table({{"ID"}, {"NAME", false, true}, {"N", true}});
  table.add({Cell("…01", "0192-01"), "a name that is far too long for the window", "7"});
  Look terminal;
  terminal.out_terminal = true;
  const auto text = table.text(terminal, 30);
  EXPECT_EQ(text, "ID   NAME                    N\n…01  a name that is far to…  7\n");
  EXPECT_EQ(table.text({}, 30), "0192-01\ta name that is far too long for the window\t7\n");
}

TEST(Tables, LeaveOutWhatHasNothingToShow) {
  Table table({{"ID"}, {"NAME"}, {"LABELS"}});
  table.add({"1", "a", ""});
  table.add({"2", "b", ""});
  Look terminal;
  terminal.out_terminal = true;
  EXPECT_EQ(table.text(terminal, 80), "ID  NAME\n1   a\n2   b\n");
  EXPECT_EQ(table.text({}, 80), "1\ta\t\n2\tb\t\n");
}

TEST(Fields, AreChosenOrListed) {
  const json::value list = json::object{{"items", json::array{json::object{{"id", "1"}, {"state", "ready"}}}}};
  EXPECT_EQ(boost::json::serialize(with_fields(list, {"state"})), R"({"items":[{"state":"ready"}]})");
  try {
    with_fields(list, {"stat"});
    FAIL();
  } catch (const Trouble& trouble) {
    EXPECT_THAT(trouble.why, HasSubstr("id, state"));
  }
}

class CommandPlans : public testing::Test {
 protected:
  CommandPlans() : before_(std::filesystem::current_path()) { std::filesystem::current_path(directory_.path()); }
  ~CommandPlans() override { std::filesystem::current_path(before_); }
  static std::string manifest_of(const CommandPlan& plan) {
    for (const auto& item : plan.items)
      if (item.content) return *item.content;
    return "";
  }
  TemporaryDirectory directory_;
  std::filesystem::path before_;
};

TEST_F(CommandPlans, MakeTextOfOtherBytesOfWhichTheShellMakesThemAgain) {
  const auto plan = plan_command({"echo", "a\\b{c}", "\xe9\\n\n"}, {});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THAT(manifest_of(*plan), HasSubstr(R"(["/bin/sh","-c","w3=$(printf %b. \"${{3}}\"); exec )"
                                            R"(\"${{1}}\" \"${{2}}\" \"${{w3%.}}\"","geres","echo",)"
                                            R"("{argument1}","{argument2}"])"));
  EXPECT_EQ(plan->parameters.at("argument1").as_string(), "a\\b{c}");
  EXPECT_EQ(plan->parameters.at("argument2").as_string(), "\\0351\\0134n\n");
}

TEST_F(CommandPlans, KeepProgramsOfTheMachineAndTurnArgumentsToParameters) {
  const auto plan = plan_command({"echo", "hello", "{x}"}, {});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->type, "echo");
  EXPECT_EQ(plan->items.size(), 1u);
  EXPECT_THAT(manifest_of(*plan), HasSubstr(R"(["echo","{argument1}","{argument2}"])"));
  EXPECT_EQ(plan->parameters.at("argument1").as_string(), "hello");
  EXPECT_EQ(plan->parameters.at("argument2").as_string(), "{x}");
  EXPECT_EQ(plan->title, "echo hello '{x}'");
}

TEST_F(CommandPlans, HaveANameOfOneLineThatIsNotTooLong) {
  EXPECT_EQ(plan_command({"sh", "-c", "a\nb\tc\x1b[1m"}, {})->title, "sh -c 'a b c [1m'");
  EXPECT_EQ(plan_command({"echo", "caf\xe9"}, {})->title, "echo 'caf\\xE9'");
  const auto title = plan_command({"echo", std::string(100, 'x') + std::string(300, '\xC3').append("\xA4")}, {})->title;
  EXPECT_LE(title.size(), 256u);
  EXPECT_TRUE(title.ends_with("…"));
}

TEST_F(CommandPlans, TakeFilesAlong) {
  replace_file("run.sh", "#!/bin/sh\n", 0755);
  std::filesystem::create_directory("sub");
  replace_file("sub/a{1}.txt", "a");
  const auto plan = plan_command({"./run.sh", "sub/a{1}.txt", "--fast"}, {});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->type, "run.sh");
  EXPECT_THAT(manifest_of(*plan), HasSubstr(R"(["./run.sh","{GERES_PACKAGE_DIR}/sub/a{{1}}.txt","{argument2}"])"));
  ASSERT_EQ(plan->items.size(), 3u);
  EXPECT_EQ(plan->items[1].name, "sub/a{1}.txt");
}

TEST_F(CommandPlans, LetWordsReferToParameters) {
  const auto refused = plan_command({"wc", "-c", "caf\xe9{input}"}, {"input"});
  EXPECT_THAT(refused.error().message, HasSubstr("'caf\\xE9{input}' is not UTF-8 and refers to a parameter"));
  const auto plan = plan_command({"wc", "-c", "{input}"}, {"input"});
  ASSERT_TRUE(plan);
  EXPECT_THAT(manifest_of(*plan), HasSubstr(R"(["wc","{argument1}","{input}"])"));
}

TEST_F(CommandPlans, SayWhatIsWrongWithAProgram) {
  replace_file("notes.txt", "x", 0644);
  EXPECT_THAT(plan_command({"./notes.txt"}, {}).error().hint, HasSubstr("chmod +x ./notes.txt"));
  EXPECT_THAT(plan_command({"./absent"}, {}).error().message, HasSubstr("no file './absent'"));
  EXPECT_THAT(plan_command({"absent-program"}, {}).error().message, HasSubstr("neither a program in PATH nor a file"));
  std::filesystem::create_directory("dir");
  EXPECT_THAT(plan_command({"./dir"}, {}).error().message, HasSubstr("is a directory"));
}

TEST(Bars, ShowWhatHasBecomeOfTheJobs) {
  Scene scene;
  scene.title = "photos";
  scene.counts = {{"finished", 5},  {"failed", 1},   {"running", 2},  {"ready", 1},
                  {"scheduled", 1}, {"retrying", 1}, {"cancelled", 0}};
  EXPECT_EQ(bar(scene, 10, false), "██████▓▓░░");
  EXPECT_EQ(counts_words(scene, false), "5 finished  2 running  1 ready  1 retrying  1 failed");
  std::vector<std::string> places;
  const auto job = [](const char* id) {
    return wire::job_view(
        json::object{{"id", id}, {"state", "running"}, {"type", "T"}, {"progress", json::object{{"percent", 50}}}});
  };
  scene.jobs = {job("a"), job("b"), job("c")};
  auto lines = scene_lines(scene, places, 80, 24, false, 0);
  EXPECT_THAT(lines[0], HasSubstr("6/10"));
  EXPECT_THAT(places, ElementsAre("a", "b", "c"));
  scene.jobs = {job("c"), job("d"), job("a")};
  lines = scene_lines(scene, places, 80, 24, false, 0);
  EXPECT_THAT(places, ElementsAre("a", "d", "c"));
  EXPECT_THAT(lines[1], HasSubstr("█████░░░░░   50 %"));
}

TopScene busy_hub() {
  TopScene scene;
  scene.hub = "http://hub:8080";
  scene.now = 1'700'000'100'000;
  scene.status = json::parse(R"({"takesJobs":true,"jobs":{"running":9,"ready":3},"lastHour":{"finished":5,"failed":2},
    "hosts":{"live":1,"slots":4,"busy":4,"lost":1,"names":{"lost":["old"]}},"failed":{"error":2},
    "oldestWaiting":{"id":"0192f0c4-7d3a-7001-8f2e-0123456789ab","type":"Render","since":"2023-11-14T22:13:20Z"}})")
                     .value();
  scene.why = "no host has gpu=a100";
  for (int i = 0; i < 9; ++i)
    scene.running.push_back(
        wire::job_view(json::object{{"id", "r" + std::to_string(i)}, {"state", "running"}, {"type", "Render"}}));
  for (int i = 0; i < 5; ++i)
    scene.failed.push_back(wire::job_view(json::object{
        {"id", "f" + std::to_string(i)}, {"state", "failed"}, {"type", "Render"}, {"error", "exit 3: no\nmore"}}));
  return scene;
}

TEST(Top, ShowsWhatNeedsSomebodyFirst) {
  const Output output;
  const auto lines = top_lines(busy_hub(), 100, 40, output);
  const auto text = joined(lines, "\n");
  EXPECT_THAT(lines[0], HasSubstr("http://hub:8080  ok"));
  EXPECT_THAT(text, HasSubstr("! hosts: 1 lost (old)"));
  EXPECT_THAT(text, HasSubstr("…456789ab Render waits for 1m 40s: no host has gpu=a100"));
  EXPECT_THAT(text, HasSubstr("! 2 dead letters: 2 error"));
  EXPECT_THAT(text, HasSubstr("exit 3: no"));
  EXPECT_THAT(text, testing::Not(HasSubstr("more")));
  EXPECT_LT(text.find("NEEDS YOU"), text.find("RUNNING"));
  EXPECT_LT(text.find("r8"), text.find("FAILED LAST"));
}

TEST(Top, FitsEachWindow) {
  Output output;
  for (const bool colour : {false, true})
    for (const int width : {20, 40, 80, 200})
      for (const int height : {4, 10, 24, 60}) {
        output.look.out_colour = colour;
        const auto lines = top_lines(busy_hub(), width, height, output);
        EXPECT_LE(int(lines.size()), height);
        for (const auto& line : lines) EXPECT_LT(int(display_width(line)), width) << line;
      }
  output.look.out_colour = false;
  EXPECT_THAT(joined(top_lines(busy_hub(), 100, 24, output), "\n"), HasSubstr("f4"))
      << "what failed last keeps its place";
}

TEST(Top, SaysThatTheHubIsAway) {
  auto scene = busy_hub();
  scene.note = "the hub does not answer";
  const auto lines = top_lines(scene, 100, 40, Output());
  EXPECT_THAT(lines[0], HasSubstr("away"));
  EXPECT_THAT(joined(lines, "\n"), HasSubstr("! the hub does not answer"));
}

wire::JobView running_at(int percent, int attempt, const char* message = "cutting") {
  wire::JobView job;
  job.id = "a", job.state = "running", job.attempt = attempt;
  job.startedAt = json::Time{1'000'000};
  job.progress = {percent, message};
  return job;
}

TEST(Bars, EstimateWhatIsLeftAndCountItDown) {
  Estimate estimate;
  EXPECT_FALSE(estimate.look(running_at(0, 1), 1'010'000));
  EXPECT_EQ(estimate.look(running_at(25, 1), 1'010'000), 1'040'000);
  EXPECT_EQ(estimate.look(running_at(25, 1), 1'015'000), 1'040'000) << "nothing new: it comes nearer";
  EXPECT_FALSE(estimate.look(running_at(25, 1), 1'050'000)) << "it was wrong";
  EXPECT_EQ(estimate.look(running_at(50, 1), 1'060'000), 1'120'000);
  EXPECT_EQ(estimate.look(running_at(50, 2), 1'001'000), 1'002'000) << "another attempt";
  EXPECT_FALSE(estimate.look(wire::job_view(json::object{{"state", "scheduled"}}), 1'001'000));
  EXPECT_FALSE(estimate.look(running_at(100, 2), 1'001'000));
  EXPECT_FALSE(estimate.look(running_at(1, 1), 1'000'000 + 3'600'000'000)) << "days of work: no guess";
  EXPECT_EQ(left_words(16'500), "17 s left");
  EXPECT_EQ(left_words(125'000), "2m 5s left");
}

TEST(Bars, ShowASingleJobWithItsTimes) {
  Scene scene;
  scene.single = true;
  scene.jobs = {running_at(25, 2)};
  scene.ends_at = 1'040'000;
  std::vector<std::string> places;
  EXPECT_THAT(scene_lines(scene, places, 100, 24, false, 1'012'300),
              ElementsAre("running   █████░░░░░░░░░░░░░░░   25 %  cutting  12.3 s, 28 s left  attempt 2"));
  scene.jobs = {running_at(25, 2, "a message that is longer than the window is wide, and then some more of it")};
  const auto lines = scene_lines(scene, places, 80, 24, false, 1'012'300);
  EXPECT_THAT(lines[0], testing::EndsWith("…  12.3 s, 28 s left  attempt 2")) << "the times are seen whole";
  EXPECT_LE(display_width(lines[0]), 79u);
}

TEST(PoolChart, ShowsTheMostOfEachTime) {
  const Curve curve{"waiting", {{10, 0}, {20, 7}, {22, 1}, {60, 14}}};
  EXPECT_EQ(curve_line(curve, 0, 80, 8, 14), "▁▅▅▂▂███") << "at most, and what goes on";
  EXPECT_EQ(curve_line(curve, 30, 70, 2, 14), "▂█");
  EXPECT_EQ(curve_line({"late", {{25, 1}}}, 0, 40, 4, 1), "  ██") << "before the first it is unknown";
  EXPECT_EQ(curve_line({"none", {}}, 0, 10, 3, 0), "   ");
  EXPECT_EQ(curve_line({"zero", {{0, 0}}}, 0, 10, 3, 0), "▁▁▁");
}

TEST(PoolChart, HasHostsWantedAndThereOnOneScale) {
  const auto decision = [](const char* at, int jobs, int wanted, int actual) {
    return json::object{
        {"at", at}, {"wanted", wanted}, {"actual", actual}, {"input", {{"demand", {{"runnable", {{"jobs", jobs}}}}}}}};
  };
  const json::array decisions{decision("2026-11-24T10:00:00Z", 1'200, 8, 0), decision("2026-11-24T10:01:00Z", 0, 0, 4)};
  const auto from = *parse_time("2026-11-24T10:00:00Z");
  const auto lines = pool_chart(decisions, from, from + 120'000, 45);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], HasSubstr("0, at most 1,200"));
  EXPECT_THAT(lines[1], HasSubstr("█"));
  EXPECT_THAT(lines[2], HasSubstr("▅")) << "half of what was wanted";
  EXPECT_TRUE(pool_chart({}, 0, 1, 80).empty());
}

TEST(Completion, KnowsCommandsFlagsAndChoices) {
  const auto values = [](const std::vector<std::string>& words) {
    std::vector<std::string> found;
    for (const auto& candidate : complete(words)) found.push_back(candidate.value);
    return found;
  };
  EXPECT_THAT(values({"su"}), ElementsAre("submit"));
  EXPECT_THAT(values({"job", "re"}), ElementsAre("redrive"));
  EXPECT_THAT(values({"submit", "--te"}), ElementsAre("--tenant"));
  EXPECT_THAT(values({"submit", "--tenant", "x", "--te"}), ElementsAre());
  EXPECT_THAT(values({"job", "list", "--state", "fi"}), ElementsAre("finished"));
  EXPECT_THAT(values({"job", "list", "--state=fa"}), ElementsAre("--state=failed"));
  EXPECT_THAT(values({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(values({"help", "exit"}), ElementsAre("exit-codes"));
  EXPECT_THAT(values({"submit", "--", "--te"}), ElementsAre());
}

}  // namespace
}  // namespace geres::cli
