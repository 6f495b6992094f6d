// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "base/sha256.h"
#include "package/archive.h"
#include "package/digest.h"
#include "package/manifest.h"

namespace geres::package {
namespace {

namespace fs = std::filesystem;

void make_file(const fs::path& path, const std::string& content, bool executable = false) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
  ::chmod(path.c_str(), executable ? 0755 : 0644);
}

struct File {
  std::string content;
  bool executable = false;
  bool operator==(const File&) const = default;
};
using Tree = std::map<std::string, File>;

std::ostream& operator<<(std::ostream& to, const File& file) {
  return to << file.content.size() << " bytes" << (file.executable ? ", executable" : "");
}

Tree tree_in(const fs::path& directory) {
  Tree tree;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const bool executable = (fs::status(entry).permissions() & fs::perms::owner_exec) != fs::perms::none;
    tree[fs::relative(entry.path(), directory).string()] = {read_file(entry.path()), executable};
  }
  return tree;
}

// Names differ in more than case, and no file is another's directory, by their making.
rc::Gen<Tree> any_tree() {
  const auto content = rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const auto file = rc::gen::construct<File>(content, rc::gen::arbitrary<bool>());
  const auto leaf = rc::gen::element<std::string>("a", "b.txt", "ü", "with space", "-rf", "…", "x.so");
  const auto folder = rc::gen::element<std::string>("", "d1/", "d1/d2/", "d 3/");
  const auto name = rc::gen::apply([](const std::string& f, const std::string& l) { return f + l; }, folder, leaf);
  return rc::gen::nonEmpty(rc::gen::container<Tree>(name, file));
}

RC_GTEST_PROP(PackProperty, WhatIsPackedComesOutAgainAndTheBytesAreTheSame, ()) {
  const auto tree = *any_tree();
  const TemporaryDirectory home;
  const auto pack_once = [&](const std::string& name) {
    for (const auto& [path, file] : tree) make_file(home.path() / name / path, file.content, file.executable);
    const auto summary = pack(home.path() / name, home.path() / (name + ".zip"));
    RC_ASSERT(summary.has_value());
    RC_ASSERT(summary->files.size() == tree.size());
    RC_ASSERT(summary->sha256 == sha256_of_file(home.path() / (name + ".zip")));
  };
  pack_once("first");
  pack_once("second");
  RC_ASSERT(read_file(home.path() / "first.zip") == read_file(home.path() / "second.zip"));
  RC_ASSERT(unpack(home.path() / "first.zip", home.path() / "out").has_value());
  RC_ASSERT(tree_in(home.path() / "out") == tree);
}

class PackageTest : public ::testing::Test {
 protected:
  fs::path dir() const { return home_.path() / "dir"; }
  fs::path zip() const { return home_.path() / "package.zip"; }
  fs::path out() const { return home_.path() / "out"; }
  void add(const std::string& name, const std::string& content, bool executable = false) {
    make_file(dir() / name, content, executable);
  }
  TemporaryDirectory home_;
};

TEST_F(PackageTest, BytesDoNotDependOnTimeZoneOrTimes) {
  add("a", "1");
  const auto first = pack(dir(), zip()).value().sha256;
  ::setenv("TZ", "America/New_York", 1);
  ::tzset();
  fs::last_write_time(dir() / "a", fs::file_time_type::clock::now() - std::chrono::hours(9999));
  EXPECT_EQ(pack(dir(), zip()).value().sha256, first);
  ::unsetenv("TZ");
  ::tzset();
}

TEST_F(PackageTest, LinksAndSpecialFilesAreNotPacked) {
  add("a", "1");
  fs::create_symlink("/etc/passwd", dir() / "link");
  EXPECT_EQ(pack(dir(), zip()).error().message, "'link' is a symbolic link; a package has plain files only");
  EXPECT_NE(pack(dir(), zip()).error().hint.find("cp -rL"), std::string::npos);
  fs::remove(dir() / "link");
  fs::create_directory_symlink("/etc", dir() / "etc");
  EXPECT_FALSE(pack(dir(), zip()));
  fs::remove(dir() / "etc");
  ASSERT_EQ(::mkfifo((dir() / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(pack(dir(), zip()).error().message, "'fifo' is a special file; a package has plain files only");
  EXPECT_FALSE(fs::exists(zip()));
  EXPECT_EQ(std::distance(fs::directory_iterator(home_.path()), fs::directory_iterator()), 1);
}

TEST_F(PackageTest, AZipInItsOwnDirectoryIsNotPackedIntoItself) {
  add("a", "1", true);
  ASSERT_TRUE(pack(dir(), dir() / "p.zip"));
  EXPECT_EQ(pack(dir(), dir() / "p.zip").value().files, std::vector<std::string>{"a"});
}

TEST_F(PackageTest, ItemsTakeFilesAndTexts) {
  add("tool", "#!/bin/sh\n", true);
  const auto summary =
      pack_items({{"tool", dir() / "tool", {}}, {"geres.json", {}, R"({"jobs":{"T":{"command":["./tool"]}}})"}}, zip());
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->files, (std::vector<std::string>{"geres.json", "tool"}));
  EXPECT_EQ(inspect(zip()).value().types, std::vector<std::string>{"T"});
  EXPECT_FALSE(pack_items({{"../x", {}, "1"}}, zip()));
  EXPECT_FALSE(pack_items({{"x", {}, "1"}, {"X", {}, "1"}}, zip()));
}

TEST_F(PackageTest, EmptyDirectoriesGoAlong) {
  add("run", "#!/bin/sh\n", true);
  add("full/file", "x");
  fs::create_directories(dir() / "in" / "empty");
  const auto summary = pack(dir(), zip());
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->files, (std::vector<std::string>{"full/file", "run"}));
  ASSERT_TRUE(inspect(zip()));
  const auto out = home_.path() / "out";
  ASSERT_TRUE(unpack(zip(), out));
  EXPECT_EQ(tree_in(out), tree_in(dir()));
  EXPECT_TRUE(fs::is_directory(out / "in" / "empty"));
  EXPECT_EQ(std::system(("python3 -m zipfile -t " + zip().string() + " > /dev/null").c_str()), 0);
  fs::remove_all(dir() / "full"), fs::remove(dir() / "run");
  EXPECT_EQ(pack(dir(), zip()).error().message, "the directory is empty");
}

TEST_F(PackageTest, FilesAreReadToTheirEndWhateverSizeTheySay) {
  ASSERT_EQ(fs::file_size("/proc/version"), 0u);
  ASSERT_TRUE(pack_items({{"Run", {}, "#!/bin/sh\n"}, {"version", "/proc/version", {}}}, zip()));
  ASSERT_TRUE(unpack(zip(), home_.path() / "out"));
  EXPECT_EQ(read_file(home_.path() / "out" / "version"), read_file("/proc/version"));
  Limits small;
  small.bytes = 20;
  EXPECT_FALSE(pack_items({{"version", "/proc/version", {}}}, zip(), small));
}

TEST_F(PackageTest, MoreThan65535Entries) {
  std::vector<Item> items(70'000);
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = {"f" + std::to_string(i), {}, ""};
  items.push_back({"run", {}, "#!/bin/sh\n"});
  ASSERT_TRUE(pack_items(items, zip()));
  const auto contents = inspect(zip());
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_EQ(contents->files, 70'001u);
}

// What others write: Python's zipfile (also as a stream, also zip64), and Info-ZIP where it is installed.
TEST_F(PackageTest, TakesTheZipsOfOthers) {
  add("Run", "#!/bin/sh\n", true);
  add("sub/grüße/ä.txt", std::string(1000, 'x'));
  fs::create_directory(dir() / "empty");
  const std::string script = R"(
import io, shutil, sys, zipfile
class Stream(io.RawIOBase):
    def __init__(self, file): self.file = file
    def writable(self): return True
    def write(self, data): return self.file.write(data)
shutil.make_archive(sys.argv[1] + "/python", "zip", sys.argv[1] + "/dir")
with open(sys.argv[1] + "/stream.zip", "wb") as file, zipfile.ZipFile(Stream(file), "w", zipfile.ZIP_DEFLATED) as z:
    z.write(sys.argv[1] + "/dir/Run", "Run")
    z.writestr("ü", "hello" * 1000)
    z.comment = b"with a comment"
with zipfile.ZipFile(sys.argv[1] + "/zip64.zip", "w") as z:
    z.write(sys.argv[1] + "/dir/Run", "Run")
    with z.open("large", "w", force_zip64=True) as part: part.write(b"x")
)";
  std::ofstream(home_.path() / "make.py") << script;
  const auto home = home_.path().string();
  ASSERT_EQ(std::system(("python3 " + home + "/make.py " + home).c_str()), 0);
  std::vector<std::string> names{"python", "stream", "zip64"};
  if (std::system("command -v zip > /dev/null") == 0) {
    ASSERT_EQ(std::system(("cd " + home + "/dir && zip -qr ../info.zip . && zip -qr - . > ../piped.zip").c_str()), 0);
    names.insert(names.end(), {"info", "piped"});
  }
  for (const auto& name : names) {
    const auto contents = inspect(home_.path() / (name + ".zip"));
    ASSERT_TRUE(contents) << name << ": " << contents.error().message;
    EXPECT_EQ(contents->types, std::vector<std::string>{"Run"}) << name;
    ASSERT_TRUE(unpack(home_.path() / (name + ".zip"), home_.path() / name));
    EXPECT_EQ(::access((home_.path() / name / "Run").c_str(), X_OK), 0) << name;
  }
  EXPECT_EQ(tree_in(home_.path() / "python"), tree_in(dir()));
}

// Files of this process may not grow beyond a limit, as on a disk that fills up.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) : before_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit small{bytes, limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFiles() {
    ::setrlimit(RLIMIT_FSIZE, &limit_);
    ::signal(SIGXFSZ, before_);
  }

 private:
  rlimit limit_{};
  sighandler_t before_;
};

TEST_F(PackageTest, TroubleWithTheDiskLeavesNothingHalf) {
  add("a", "1", true);
  add("large", std::string(1 << 20, 'x'));
  ASSERT_TRUE(pack(dir(), zip()));
  std::string noise;
  for (int i = 0; i < 1 << 18; ++i) noise += sha256_hex(std::to_string(i)).substr(0, 4);
  add("noise", noise);
  const auto old = read_file(zip());
  {
    const SmallFiles small(100'000);
    EXPECT_THROW((void)unpack(zip(), out()), std::system_error);
    EXPECT_THROW((void)pack(dir(), zip()), std::system_error);
  }
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_EQ(read_file(zip()), old);
  EXPECT_EQ(std::distance(fs::directory_iterator(home_.path()), fs::directory_iterator()), 2);
}

TEST_F(PackageTest, TypesByManifest) {
  add("geres.json", R"({"jobs": {"B": {"command": ["./run"]}, "A": {"library": "lib/liba.so", "timeout": "2m"}}})");
  add("run", "x");
  EXPECT_EQ(pack(dir(), zip()).value().files.size(), 2u);
  EXPECT_EQ(inspect(zip()).error().field, "/jobs/A/library");
  add("lib/liba.so", "x");
  ASSERT_TRUE(pack(dir(), zip()));
  const auto contents = inspect(zip()).value();
  EXPECT_EQ(contents.types, (std::vector<std::string>{"A", "B"}));
  EXPECT_FALSE(contents.open);
  EXPECT_TRUE(contents.may_have("A"));
  EXPECT_FALSE(contents.may_have("run"));
  // A program that the manifest names runs even if the ZIP knew no executable bit.
  ASSERT_TRUE(unpack(zip(), out()));
  EXPECT_EQ(::access((out() / "run").c_str(), X_OK), 0);
}

TEST_F(PackageTest, TypesWithoutManifest) {
  add("Run", "#!/bin/sh\n", true);
  add("readme", "text");
  add("sub/Other", "#!/bin/sh\n", true);
  ASSERT_TRUE(pack(dir(), zip()));
  auto contents = inspect(zip()).value();
  EXPECT_EQ(contents.types, std::vector<std::string>{"Run"});
  EXPECT_FALSE(contents.open);
  add("libjobs.so", "x");
  ASSERT_TRUE(pack(dir(), zip()));
  contents = inspect(zip()).value();
  EXPECT_TRUE(contents.open);
  EXPECT_TRUE(contents.may_have("Anything"));
}

TEST_F(PackageTest, NothingToRunIsNoPackage) {
  add("readme", "text");
  ASSERT_TRUE(pack(dir(), zip()));
  EXPECT_EQ(inspect(zip()).error().message, "the package has nothing to run");
}

TEST_F(PackageTest, CommandsAreFilledWithoutAShell) {
  add("geres.json", R"({"jobs": {"T": {"command":
      ["./run.sh", "{picture}", "size={width}x{width}", "{{print}}", "{GERES_PACKAGE_DIR}/x", "{deep}", "{none}"], "timeout": "2m"}}})");
  add("run.sh", "x", true);
  const auto launch =
      find_job(dir(), "T", R"({"picture": "a b; rm -rf $HOME", "width": 64, "deep": {"a": [1]}, "none": null})");
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->timeout, 120'000);
  EXPECT_EQ(launch->command, (std::vector<std::string>{(dir() / "run.sh").string(), "a b; rm -rf $HOME", "size=64x64",
                                                       "{print}", (dir() / "x").string(), R"({"a":[1]})", ""}));
  EXPECT_EQ(command_line(*launch, "T", "/l"), launch->command);
}

TEST_F(PackageTest, AMissingParameterIsNamed) {
  add("geres.json", R"({"jobs": {"T": {"command": ["sh", "{picture}"]}}})");
  for (const char* parameters : {"", "{}", "\"text\"", "[1]", R"({"Picture": 1})"}) {
    const auto launch = find_job(dir(), "T", parameters);
    ASSERT_FALSE(launch);
    EXPECT_EQ(launch.error().code, Code::missingField);
    EXPECT_EQ(launch.error().field, "/parameters/picture");
    EXPECT_EQ(launch.error().message, "job type 'T' needs the parameter 'picture', which is missing");
  }
}

TEST_F(PackageTest, AnUnknownTypeIsAnsweredWithThoseThereAre) {
  add("geres.json", R"({"jobs": {"A": {"command": ["sh"]}, "B": {"command": ["sh"]}}})");
  const auto launch = find_job(dir(), "C", "{}");
  ASSERT_FALSE(launch);
  EXPECT_EQ(launch.error().code, Code::unknownType);
  EXPECT_EQ(launch.error().hint, "it has A, B");
  EXPECT_EQ(find_job(dir(), "../x", "{}").error().code, Code::unknownType);
}

TEST_F(PackageTest, WithoutManifestLibrariesComeFirstThenTheExecutable) {
  add("Run", "x", true);
  EXPECT_EQ(find_job(dir(), "Run", "{}").value().command, std::vector<std::string>{(dir() / "Run").string()});
  EXPECT_EQ(find_job(dir(), "Walk", "{}").error().hint, "it has Run");
  add("liba.so", "x");
  add("libb.so.2", "x");
  const auto launch = find_job(dir(), "Run", "{}").value();
  EXPECT_EQ(command_line(launch, "Run", "/bin/geres-job"),
            (std::vector<std::string>{"/bin/geres-job", "--else", (dir() / "Run").string(),
                                      (dir() / "liba.so").string(), (dir() / "libb.so.2").string(), "Run"}));
}

struct BadManifest {
  const char* text;
  const char* field;
};

TEST(Manifest, EveryMistakeIsNamed) {
  const BadManifest cases[] = {
      {"", ""},
      {"{", ""},
      {"[]", ""},
      {"{}", "/jobs"},
      {R"({"jobs": {}})", "/jobs"},
      {R"({"jobs": {"A": {"command": ["x"]}}, "more": 1})", ""},
      {R"({"jobs": {"A": {"command": ["x"], "retries": 1}}})", ""},
      {R"({"jobs": {"A": {}}})", "/jobs/A"},
      {R"({"jobs": {"A": {"command": ["x"], "library": "a.so"}}})", "/jobs/A"},
      {R"({"jobs": {"A": {"command": []}}})", "/jobs/A/command"},
      {R"({"jobs": {"A": {"command": "x"}}})", "/jobs/A/command"},
      {R"({"jobs": {"A": {"command": [""]}}})", "/jobs/A/command/0"},
      {R"({"jobs": {"A": {"command": ["../x"]}}})", "/jobs/A/command/0"},
      {R"({"jobs": {"A": {"command": ["{program}"]}}})", "/jobs/A/command/0"},
      {R"({"jobs": {"A": {"command": ["x", "{a b}"]}}})", "/jobs/A/command/1"},
      {R"({"jobs": {"A": {"command": ["x", "{"]}}})", "/jobs/A/command/1"},
      {R"({"jobs": {"A": {"library": "../x.so"}}})", "/jobs/A/library"},
      {R"({"jobs": {"A": {"library": "/x.so"}}})", "/jobs/A/library"},
      {R"({"jobs": {"A": {"command": ["x"], "timeout": "0s"}}})", "/jobs/A/timeout"},
      {R"({"jobs": {"A": {"command": ["x"], "timeout": 5}}})", "/jobs/A/timeout"},
      {R"({"jobs": {"a b": {"command": ["x"]}}})", "/jobs/a b"},
      {R"({"jobs": {"../A": {"command": ["x"]}}})", "/jobs/..~1A"},
  };
  for (const auto& bad : cases) {
    const auto manifest = parse_manifest(bad.text);
    ASSERT_FALSE(manifest) << bad.text;
    EXPECT_EQ(manifest.error().code, Code::badPackage) << bad.text;
    EXPECT_EQ(*bad.field != 0 ? manifest.error().field : "", bad.field) << bad.text;
    EXPECT_TRUE(manifest.error().message.starts_with("geres.json: ")) << manifest.error().message;
  }
}

TEST(Manifest, NamesItsParameters) {
  const auto manifest =
      parse_manifest(R"({"jobs": {"A": {"command": ["x", "{a}{b}", "{{c}}", "{a}", "{GERES_PACKAGE_DIR}"]}}})");
  EXPECT_EQ(parameters_of(manifest.value().jobs.at("A")), (std::vector<std::string>{"a", "b"}));
}

TEST(Manifest, LibraryNames) {
  for (const char* name : {"a.so", "liba.so.1", "liba.so.1.2.3"}) EXPECT_TRUE(is_library_name(name)) << name;
  for (const char* name : {".so", "a.sol", "a.so.", "a.so.x", "also", "a.txt"})
    EXPECT_FALSE(is_library_name(name)) << name;
}

}  // namespace
}  // namespace geres::package
