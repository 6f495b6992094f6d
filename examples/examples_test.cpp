// SPDX-License-Identifier: Apache-2.0
// The samples as a host would run them: from their ZIP, unpacked, started by what find_job says.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <fstream>

#include "base/sha256.h"
#include "package/archive.h"
#include "sdk/job_process.h"

namespace geres {
namespace {

namespace fs = std::filesystem;

class Sample {
 public:
  explicit Sample(const std::string& name) {
    const auto unpacked = package::unpack(fs::path(EXAMPLES_DIR) / (name + ".zip"), directory());
    if (!unpacked) throw std::runtime_error(unpacked.error().message);
  }
  fs::path directory() const { return home_.path() / "package"; }

  std::vector<std::string> command(const std::string& type, const std::string& parameters) const {
    const auto launch = package::find_job(directory(), type, parameters).value();
    return package::command_line(launch, type, GERES_JOB_PROGRAM);
  }

 private:
  TemporaryDirectory home_;
};

// One attempt; inputs are put into its work directory before run().
struct Attempt : testing::JobProcess {
  Attempt(const Sample& sample, const std::string& type, const std::string& parameters)
      : JobProcess(sample.directory(), parameters), command(sample.command(type, parameters)) {}
  void input(const std::string& name, const std::string& content) const { std::ofstream(work() / name) << content; }
  void go() { run(command); }
  std::string last_error() const {
    auto text = err;
    while (text.ends_with('\n')) text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  }
  std::vector<std::string> command;
};

// 64 x 48 in a format that every tool reads and nobody has to compress.
std::string bmp(int width = 64, int height = 48) {
  std::string pixels;
  for (int i = 0; i < width * height * 3; ++i) pixels += char(i * 7);
  std::string bytes = "BM";
  const auto put = [&](std::uint32_t value, int size) {
    for (int i = 0; i < size; ++i) bytes += char(value >> (8 * i));
  };
  put(54 + std::uint32_t(pixels.size()), 4), put(0, 4), put(54, 4);
  put(40, 4), put(std::uint32_t(width), 4), put(std::uint32_t(height), 4), put(1, 2), put(24, 2);
  for (int i = 0; i < 6; ++i) put(0, 4);
  return bytes + pixels;
}

bool have(const std::string& program) {
  return std::system(("command -v " + program + " > /dev/null").c_str()) == 0;
}

TEST(FinancialYearEnd, ClosesTheYear) {
  const Sample sample("FinancialYearEnd");
  Attempt job(sample, "FinancialYearEnd", R"({"year": 2025})");
  job.input("postings.csv", "1200,10.00\n4400,-7.50\n1200,-0.01\n4400,-2.49\n");
  job.go();
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(job.result, "year 2025 closed: 2 accounts");
  EXPECT_EQ(read_file(job.output() / "closing-2025.csv"), "account,2025-12-31\n1200,9.99\n4400,-9.99\n");
  EXPECT_EQ(job.progress.front(), "10 adding up postings");
  EXPECT_EQ(job.progress.back(), "100");
}

TEST(FinancialYearEnd, BadInputIsNotTriedAgain) {
  const Sample sample("FinancialYearEnd");
  const std::vector<std::array<std::string, 3>> cases = {
      {"{}", "", "the parameter 'year' is missing"},
      {R"({"year": "next"})", "", "year must be from 1900 to 2999, not 'next'"},
      {R"({"year": 2025})", "1200,10.00\n", "the year does not balance: 10.00 too much on the debit side"},
      {R"({"year": 2025})", "1200,1\n", "postings.csv, line 1: expected `account,amount` such as `1200,-12.50`"},
  };
  for (const auto& [parameters, postings, reason] : cases) {
    Attempt job(sample, "FinancialYearEnd", parameters);
    if (!postings.empty()) job.input("postings.csv", postings);
    job.go();
    EXPECT_EQ(job.exit_code, 60) << reason;
    EXPECT_EQ(job.last_error(), reason);
  }
}

TEST(UpdateWaitingPostings, TellsHowFarItIs) {
  const Sample sample("UpdateWaitingPostings");
  Attempt job(sample, "UpdateWaitingPostings", R"({"count": 4, "pauseMs": 0})");
  job.go();
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(job.result, "4 postings updated");
  EXPECT_EQ(job.progress, (std::vector<std::string>{"0 posting 1 of 4", "25 posting 2 of 4", "50 posting 3 of 4",
                                                    "75 posting 4 of 4", "100"}));
  EXPECT_EQ(read_file(job.output() / "updated.csv"), "posting,state\n1,updated\n2,updated\n3,updated\n4,updated\n");
}

TEST(UpdateWaitingPostings, StopsWhenAsked) {
  const Sample sample("UpdateWaitingPostings");
  Attempt job(sample, "UpdateWaitingPostings", R"({"count": 2, "pauseMs": 60000})");
  job.start(job.command);
  ASSERT_TRUE(job.wait_for_progress("0 posting 1 of 2"));
  job.terminate();
  job.wait();
  EXPECT_EQ(job.exit_code, 1);
  EXPECT_EQ(job.last_error(), "stopped after 0 of 2 postings");
}

TEST(WordCount, Counts) {
  const Sample sample("word_count");
  Attempt job(sample, "WordCount", R"({"top": 2, "ignore": ["the"]})");
  job.input("a.txt", "The fox and the hen and the goose");
  job.input("b.txt", "hen, HEN! größe");
  job.go();
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(job.result, R"({"files": 2, "words": 8, "different": 5})");
  EXPECT_EQ(read_file(job.output() / "words.csv"), "word,count\r\nhen,3\r\nand,2\r\n");
  EXPECT_EQ(job.progress, (std::vector<std::string>{"0 a.txt", "50 b.txt", "100 writing"}));
}

TEST(WordCount, BadInputIsNotTriedAgain) {
  const Sample sample("word_count");
  Attempt empty(sample, "WordCount", "{}");
  empty.go();
  EXPECT_EQ(empty.exit_code, 60);
  EXPECT_EQ(empty.last_error(), "there is no input to count words in");
  Attempt bad(sample, "WordCount", R"({"top": "many"})");
  bad.go();
  EXPECT_EQ(bad.exit_code, 60);
  EXPECT_EQ(bad.last_error(), "top must be a whole number above 0, not 'many'");
}

TEST(Checksums, OfEveryInput) {
  const Sample sample("checksums");
  Attempt job(sample, "Checksums", "{}");
  job.input("a file", "hello");
  job.input("-b", "");
  job.go();
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(job.result, "2 files\n");
  EXPECT_EQ(read_file(job.output() / "checksums.txt"),
            sha256_hex("") + "  ./-b\n" + sha256_hex("hello") + "  ./a file\n");
  EXPECT_EQ(job.progress, (std::vector<std::string>{"50 -b", "100 a file"}));
  Attempt none(sample, "Checksums", "{}");
  none.go();
  EXPECT_EQ(none.exit_code, 60);
}

class Thumbnails : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!have("vipsthumbnail")) GTEST_SKIP() << "libvips-tools is not installed";
  }
  Sample sample_{"thumbnails"};
};

TEST_F(Thumbnails, MakesOne) {
  for (const std::string name : {"a.bmp", "with space.bmp", "-rf.bmp", "a[1].bmp", "100%s.bmp"}) {
    Attempt job(sample_, "Thumbnail", boost::json::serialize(json::object{{"picture", name}, {"size", 16}}));
    job.input(name, bmp());
    job.input("other.bmp", bmp());
    job.go();
    EXPECT_EQ(job.exit_code, 0) << name << ": " << job.err;
    const auto made = "thumb/" + name.substr(0, name.size() - 4) + ".jpg";
    EXPECT_EQ(job.result, made + "\n");
    EXPECT_TRUE(read_file(job.output() / made).starts_with("\xff\xd8\xff")) << name;
    EXPECT_EQ(job.progress, (std::vector<std::string>{"5 reading", "30 resizing", "90 writing", "100 done"}));
    EXPECT_EQ(std::distance(fs::recursive_directory_iterator(job.output()), fs::recursive_directory_iterator()), 2);
  }
}

TEST_F(Thumbnails, TakesTheOnlyInputAndOtherFormats) {
  Attempt job(sample_, "Thumbnail", R"({"format": "png"})");
  fs::create_directory(job.work() / "photos");
  job.input("photos/a.bmp", bmp());
  job.go();
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_TRUE(read_file(job.output() / "thumb/a.png").starts_with("\x89PNG"));
}

TEST_F(Thumbnails, Rotates) {
  Attempt job(sample_, "Rotate", R"({"degrees": 90})");
  job.input("a.bmp", bmp());
  job.go();
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_TRUE(read_file(job.output() / "rotated/a.jpg").starts_with("\xff\xd8\xff"));
  EXPECT_EQ(package::find_job(sample_.directory(), "Rotate", "{}").error().field, "/parameters/degrees");
}

TEST_F(Thumbnails, ABrokenPictureEndsWithItsReason) {
  // A whole JPEG to be cut short.
  Attempt maker(sample_, "Rotate", R"({"degrees": 180})");
  maker.input("a.bmp", bmp(400, 300));
  maker.go();
  const auto jpeg = read_file(maker.output() / "rotated/a.jpg");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {std::string(3000, '\0'), "a.jpg is not a picture: it begins with 0x00000000"},
      {"hello", "a.jpg is not a picture: it begins with 0x68656c6c"},
      {"", "a.jpg is empty"},
      {jpeg.substr(0, jpeg.size() / 2), "a.jpg is broken: "},
  };
  for (const std::string type : {"Thumbnail", "Rotate"})
    for (const auto& [content, reason] : cases) {
      Attempt job(sample_, type, R"({"picture": "a.jpg", "degrees": 90})");
      job.input("a.jpg", content);
      job.go();
      EXPECT_EQ(job.exit_code, 60) << type << " " << reason << job.err;
      EXPECT_TRUE(job.last_error().starts_with(reason)) << type << ": " << job.err;
      EXPECT_TRUE(fs::is_empty(job.output()));
    }
}

TEST_F(Thumbnails, BadParametersEndWithTheirReason) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"Thumbnail", R"({"picture": "absent.jpg"})", "there is no input called 'absent.jpg'"},
      {"Thumbnail", "{}", "which picture? give the parameter 'picture', or exactly one input"},
      {"Thumbnail", R"({"size": "big"})", "size must be a number of pixels from 1 to 9999, not 'big'"},
      {"Thumbnail", R"({"size": 0})", "size must be a number of pixels from 1 to 9999, not '0'"},
      {"Thumbnail", R"({"format": "exe"})", "format must be jpg, png or webp, not 'exe'"},
      {"Rotate", R"({"degrees": 45})", "degrees must be 90, 180 or 270, not '45'"},
  };
  for (const auto& [type, parameters, reason] : cases) {
    Attempt job(sample_, type, parameters);
    job.go();
    EXPECT_EQ(job.exit_code, 60) << reason;
    EXPECT_EQ(job.last_error(), reason);
  }
}

// ImageMagick's place is taken by a script that checks how it is called.
TEST_F(Thumbnails, FallsBackToImageMagick) {
  const TemporaryDirectory tools;
  for (const char* tool : {"sh", "od", "tr", "cp", "mv", "mkdir", "sed", "grep", "tail", "cut", "find", "wc"})
    for (const char* from : {"/usr/bin/", "/bin/"})
      if (fs::exists(from + std::string(tool)) && !fs::exists(tools.path() / tool))
        fs::create_symlink(from + std::string(tool), tools.path() / tool);
  const auto run_with_path = [&](Attempt& job) {
    job.environment["PATH"] = tools.path().string();
    job.input("a.bmp", bmp());
    job.go();
  };
  Attempt none(sample_, "Thumbnail", "{}");
  run_with_path(none);
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_EQ(none.last_error(), "neither libvips (vipsthumbnail) nor ImageMagick (convert) is installed on this host");

  std::ofstream(tools.path() / "convert")
      << "#!/bin/sh\n[ \"$2 $3 $4\" = '-auto-orient -thumbnail 256x256>' ] && cp \"${1%\\[0\\]}\" \"$5\"\n";
  ::chmod((tools.path() / "convert").c_str(), 0755);
  Attempt job(sample_, "Thumbnail", "{}");
  run_with_path(job);
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(read_file(job.output() / "thumb/a.jpg"), bmp());
}

// Folders of scripts can be pushed as they lie in the source tree.
TEST(Examples, ScriptFoldersAreTheirPackages) {
  for (const std::string name : {"thumbnails", "word_count", "checksums"}) {
    const TemporaryDirectory home;
    const auto packed = package::pack(fs::path(EXAMPLES_SOURCE_DIR) / name, home.path() / "p.zip");
    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_EQ(package::inspect(home.path() / "p.zip").value().types,
              package::inspect(fs::path(EXAMPLES_DIR) / (name + ".zip")).value().types);
  }
}

TEST(Examples, TypesOfEach) {
  const auto types = [](const std::string& name) {
    return package::inspect(fs::path(EXAMPLES_DIR) / (name + ".zip")).value().types;
  };
  EXPECT_EQ(types("thumbnails"), (std::vector<std::string>{"Rotate", "Thumbnail"}));
  EXPECT_EQ(types("checksums"), std::vector<std::string>{"Checksums"});
  EXPECT_EQ(types("word_count"), std::vector<std::string>{"WordCount"});
  EXPECT_EQ(types("UpdateWaitingPostings"), std::vector<std::string>{"UpdateWaitingPostings"});
  EXPECT_TRUE(package::inspect(fs::path(EXAMPLES_DIR) / "FinancialYearEnd.zip").value().open);
}

}  // namespace
}  // namespace geres
