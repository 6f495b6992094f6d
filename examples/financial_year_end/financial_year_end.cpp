// SPDX-License-Identifier: Apache-2.0
// Closes a financial year: adds up the postings of each account, proves that they balance, and carries the balances
// forward. Input: postings.csv with lines `account,amount` (debit above zero, credit below, two decimals); without it
// three example postings are taken. Parameter: year. Files: closing-YEAR.csv.
#include <geres/job.h>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>

namespace {

using Cents = std::int64_t;
using Balances = std::map<std::string, Cents>;

constexpr Cents kAmountMax = 1'000'000'000'000'00;  // sums of many millions of these still fit

int year_of(const std::string& text) {
  int year = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), year);
  if (error != std::errc() || end != text.data() + text.size() || year < 1900 || year > 2999)
    throw geres::Abort("year must be from 1900 to 2999, not '" + text + "'");
  return year;
}

// "-12.50" is -1250, exactly: no floating point near money.
Cents cents_of(std::string_view text) {
  const bool credit = text.starts_with('-');
  if (credit) text.remove_prefix(1);
  const auto point = text.find('.');
  if (point == text.npos || point == 0 || text.size() - point != 3) throw std::invalid_argument("no amount");
  const auto digits = std::string(text.substr(0, point)) + std::string(text.substr(point + 1));
  Cents cents = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), cents);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.front() == '-' || cents > kAmountMax)
    throw std::invalid_argument("no amount");
  return credit ? -cents : cents;
}

std::string text_of(Cents cents) {
  const auto plain = cents < 0 ? -cents : cents;
  const auto rest = std::to_string(plain % 100);
  return (cents < 0 ? "-" : "") + std::to_string(plain / 100) + "." + (rest.size() < 2 ? "0" : "") + rest;
}

Balances add_up(std::istream& postings) {
  Balances balances;
  std::string line;
  for (int number = 1; std::getline(postings, line); ++number) {
    if (line.empty()) continue;
    const auto comma = line.find(',');
    try {
      if (comma == line.npos || comma == 0) throw std::invalid_argument("no account");
      balances[line.substr(0, comma)] += cents_of(std::string_view(line).substr(comma + 1));
    } catch (const std::invalid_argument&) {
      throw geres::Abort("postings.csv, line " + std::to_string(number) +
                         ": expected `account,amount` such as `1200,-12.50`");
    }
  }
  return balances;
}

class FinancialYearEnd {
 public:
  geres::Result run(geres::JobContext& context) {
    const int year = year_of(context.required_parameter("year"));
    context.progress(10, "adding up postings");
    const auto balances = read(context.work_dir() / "postings.csv");

    context.progress(60, "checking the balance");
    Cents sum = 0;
    for (const auto& [account, balance] : balances) sum += balance;
    if (sum != 0)
      return geres::Result::abort("the year does not balance: " + text_of(sum) + " too much on the debit side");

    context.progress(80, "carrying forward");
    const auto name = "closing-" + std::to_string(year) + ".csv";
    std::ofstream closing(context.output_dir() / name);
    closing << "account," << year << "-12-31\n";
    for (const auto& [account, balance] : balances) closing << account << "," << text_of(balance) << "\n";
    closing.close();
    if (!closing) return geres::Result::failure(name + " cannot be written");

    context.progress(100);
    return geres::Result::success("year " + std::to_string(year) + " closed: " + std::to_string(balances.size()) +
                                  " accounts");
  }

 private:
  static Balances read(const std::filesystem::path& path) {
    std::ifstream file(path);
    if (file) return add_up(file);
    std::istringstream example("1200,100.00\n4400,-84.03\n3806,-15.97\n");
    return add_up(example);
  }
};

GERES_JOB("FinancialYearEnd", FinancialYearEnd)

}  // namespace
