// SPDX-License-Identifier: Apache-2.0
// Hosts that join with join tokens: how often one may be used and for whom, answers that are lost, names that belong to
// somebody, and secrets that change.
#include "base/sha256.h"
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using Tenants = std::optional<std::vector<std::string>>;

class EngineEnrolment : public EngineTest {
 protected:
  template <class Verb>
  Slot<typename Verb::Out> ask(Verb verb) {
    Slot<typename Verb::Out> slot;
    engine->ask(std::move(verb), slot.answer());
    tick();
    EXPECT_TRUE(slot.answered());
    return slot;
  }

  model::JoinToken invite(const std::string& name = "", int uses = 1, std::vector<std::string> tenants = {},
                          Millis ttl = 3'600'000) {
    model::JoinToken token;
    token.sha256 = sha256_hex("token" + std::to_string(++secrets_));
    token.name = name;
    token.uses = uses;
    token.tenants = std::move(tenants);
    token.expires = clock.wall() + ttl;
    return ask(Invite{token}).value();
  }
  RegisterHost host_named(const std::string& name, Tenants tenants = {}) {
    RegisterHost wanted;
    wanted.host.name = name;
    wanted.host.slots = 2;
    wanted.host.tenants = std::move(tenants);
    wanted.host.secret_sha256 = sha256_hex("secret" + std::to_string(++secrets_));
    return wanted;
  }
  RegisterHost with(const model::JoinToken& token, const std::string& name, const std::string& joining = "",
                    Tenants tenants = {}) {
    auto wanted = host_named(name, std::move(tenants));
    wanted.join_token = token.id;
    wanted.joining = joining.empty() ? "" : sha256_hex(joining);
    wanted.change = ++changes_;
    return wanted;
  }
  RegisterHost again(const model::Host& host, std::optional<Uuid> replaces = {}) {
    auto wanted = host_named(host.name);
    wanted.enrolment = host.enrolment;
    wanted.replaces = replaces;
    return wanted;
  }
  model::Host joined(const std::string& name) { return ask(with(invite(), name)).value(); }
  TestHost life(const model::Host& host) { return {host.id, host.name}; }
  void is_heard(const model::Host& host) {
    auto alive = life(host);
    fetch(alive);
  }
  void falls_silent() { pass_at_once(options.host_lost_after); }
  void is_forgotten() { pass_at_once(options.host_forgotten_after); }
  void pass_at_once(Millis time) {
    clock.advance(time + 21'000);  // and an open fetch is over
    settle();
    clock.advance(1'000);
    settle();
  }
  model::Enrolment enrolment(Uuid id) {
    for (const auto& row : store->reads().enrolments())
      if (row.id == id) return row;
    ADD_FAILURE() << "there is none";
    return {};
  }
  std::size_t hosts() { return store->reads().hosts().size(); }

  int secrets_ = 0, changes_ = 0;
};

// ---- join tokens

TEST_F(EngineEnrolment, AJoinTokenMakesAsManyHostsAsItHasUses) {
  const auto token = invite("", 2);
  Slot<model::Host> first, second, third;
  engine->ask(with(token, "h1", "one"), first.answer());
  engine->ask(with(token, "h2", "two"), second.answer());
  engine->ask(with(token, "h3", "three"), third.answer());
  tick();
  EXPECT_TRUE(first.value().enrolment);
  EXPECT_TRUE(second.value().enrolment);
  EXPECT_EQ(third.error(), Code::joinTokenUsed) << "of three in one tick";
  EXPECT_EQ(hosts(), 2u);
  restart();
  EXPECT_EQ(ask(with(token, "h3", "three")).error(), Code::joinTokenUsed);
}

TEST_F(EngineEnrolment, ItExpiresAndIsForOneNameAndItsTenants) {
  const auto brief = invite("", 1, {}, 1'000);
  pass(1'000);
  EXPECT_EQ(ask(with(brief, "h")).error(), Code::joinTokenExpired);
  const auto named = invite("rack7");
  EXPECT_EQ(ask(with(named, "rack8")).error(), Code::joinTokenOtherName);
  EXPECT_EQ(ask(with(named, "rack7")).value().tenants, std::nullopt) << "a refusal takes no use";
  const auto bound = invite("", 2, {"b", "a"});
  EXPECT_EQ(ask(with(bound, "h", "", Tenants({"a", "c"}))).error(), Code::forbidden);
  EXPECT_EQ(ask(with(bound, "h", "", Tenants({"b"}))).value().tenants, Tenants({"b"}));
  EXPECT_EQ(ask(with(bound, "h")).value().tenants, Tenants({"a", "b"})) << "all of them, unless it says";
}

TEST_F(EngineEnrolment, AWithdrawnTokenIsNotKnownAndAnOldOneIsForgotten) {
  const auto token = invite();
  EXPECT_TRUE(ask(Uninvite{token.id}).value());
  EXPECT_EQ(ask(with(token, "h")).error(), Code::unauthenticated);
  EXPECT_EQ(ask(Uninvite{token.id}).error(), Code::notFound);
  invite("", 1, {}, 1'000);
  EXPECT_EQ(store->reads().join_tokens().size(), 1u);
  clock.advance(2 * 86'400'000);
  settle();
  EXPECT_TRUE(store->reads().join_tokens().empty());
}

// ---- answers that are lost

TEST_F(EngineEnrolment, ALostAnswerIsRepeatedByTheSameHostAlone) {
  const auto token = invite();
  const auto first = ask(with(token, "h", "mine")).value();
  const auto before = enrolment(first.enrolment);
  EXPECT_EQ(ask(with(token, "h", "another")).error(), Code::joinTokenUsed);
  EXPECT_EQ(ask(with(token, "h")).error(), Code::joinTokenUsed) << "it names no id of its own";
  const auto second = ask(with(token, "h", "mine")).value();
  EXPECT_EQ(second.enrolment, first.enrolment);
  EXPECT_NE(second.id, first.id);
  EXPECT_NE(enrolment(first.enrolment).secret_sha256, before.secret_sha256) << "the lost one is void";
  restart();
  const auto third = ask(with(token, "h", "mine")).value();
  EXPECT_EQ(third.enrolment, first.enrolment) << "also by another life of the hub";
  EXPECT_EQ(hosts(), 1u);
}

TEST_F(EngineEnrolment, ACopyThatComesLateChangesNothing) {
  const auto token = invite();
  const auto late = with(token, "h", "mine"), newest = with(token, "h", "mine");
  const auto host = ask(newest).value();
  EXPECT_EQ(ask(late).error(), Code::joinTokenUsed);
  EXPECT_EQ(enrolment(host.enrolment).secret_sha256, newest.host.secret_sha256) << "its host has this answer";
  const RenewHostSecret late_change{host.id, newest.host.secret_sha256, sha256_hex("late"), ++changes_};
  const RenewHostSecret change{host.id, newest.host.secret_sha256, sha256_hex("next"), ++changes_};
  EXPECT_TRUE(ask(change).value());
  EXPECT_EQ(ask(late_change).error(), Code::conflict);
  EXPECT_EQ(enrolment(host.enrolment).secret_sha256, change.sha256);
}

TEST_F(EngineEnrolment, NothingIsRepeatedLateOrOnceTheSecretWasUsed) {
  const auto token = invite(), other = invite();
  const auto host = ask(with(token, "h", "mine")).value();
  is_heard(host);
  EXPECT_EQ(ask(with(token, "h", "mine")).error(), Code::joinTokenUsed);
  ask(with(other, "late", "mine")).value();
  clock.advance(600'000);
  settle();
  EXPECT_EQ(ask(with(other, "late", "mine")).error(), Code::joinTokenUsed);
}

// ---- coming back

TEST_F(EngineEnrolment, AHostComesBackByItsOwnSecret) {
  push();
  const auto host = joined("h");
  auto alive = life(host);
  const auto id = submit(job());
  EXPECT_EQ(fetch(alive).leases.at(0).lease.job, id);
  EXPECT_EQ(ask(again(host)).error(), Code::hostAlive) << "two at once";
  const auto back = ask(again(host, host.id)).value();
  EXPECT_EQ(back.enrolment, host.enrolment);
  EXPECT_EQ(get(id).status.host_losses, 1) << "what its earlier life ran is over";
  EXPECT_EQ(ask(again(host, host.id)).value().enrolment, host.enrolment) << "its answer was lost";
}

TEST_F(EngineEnrolment, AlsoAfterItWasForgotten) {
  const auto host = joined("h");
  is_heard(host);
  is_forgotten();
  EXPECT_EQ(hosts(), 0u);
  restart();
  EXPECT_EQ(ask(again(host, host.id)).value().enrolment, host.enrolment);
}

TEST_F(EngineEnrolment, ItsSecretIsForItsNameAndTenants) {
  const auto host = ask(with(invite("", 1, {"a"}), "h")).value();
  auto renamed = again(host, host.id);
  renamed.host.name = "other";
  EXPECT_EQ(ask(renamed).error(), Code::forbidden);
  auto moved = again(host, host.id);
  moved.host.tenants = {"a", "b"};
  EXPECT_EQ(ask(moved).error(), Code::forbidden);
  EXPECT_EQ(ask(again(host, host.id)).value().tenants, Tenants({"a"}));
}

TEST_F(EngineEnrolment, OnceRemovedItsSecretIsVoid) {
  const auto host = joined("h");
  EXPECT_TRUE(ask(RemoveEnrolment{host.enrolment}).value());
  EXPECT_EQ(hosts(), 0u);
  EXPECT_EQ(ask(again(host, host.id)).error(), Code::unauthenticated);
  EXPECT_EQ(ask(RemoveEnrolment{host.enrolment}).error(), Code::notFound);
  EXPECT_TRUE(ask(host_named("h")).value().id) << "and its name is free";
}

// ---- names

TEST_F(EngineEnrolment, NobodyTakesAnothersNameBySilence) {
  const auto host = joined("h");
  falls_silent();
  EXPECT_EQ(ask(host_named("h")).error(), Code::nameTaken) << "with a token of the role host";
  auto claims = host_named("h");
  claims.replaces = host.id;
  EXPECT_EQ(ask(claims).error(), Code::nameTaken) << "the id of a host proves nothing";
  EXPECT_EQ(ask(with(invite(), "h")).error(), Code::nameTaken) << "with a join token for any name";
  EXPECT_EQ(store->reads().hosts().at(0).id, host.id);
  EXPECT_TRUE(ask(host_named("h", Tenants({"a"}))).value().id) << "for other tenants the name is free";
}

TEST_F(EngineEnrolment, ATokensHostIsNotReplacedByAJoinTokenForAnyName) {
  ask(host_named("h")).value();
  EXPECT_EQ(ask(with(invite(), "h")).error(), Code::nameTaken) << "also while it was never heard of";
  falls_silent();
  EXPECT_EQ(ask(with(invite(), "h")).error(), Code::nameTaken);
  EXPECT_TRUE(ask(host_named("h")).value().id) << "but by its own kind, as ever";
}

TEST_F(EngineEnrolment, AJoinTokenForTheNameReplacesAHostThatIsSilent) {
  for (const bool enrolled : {true, false}) {
    const auto before = enrolled ? joined("h") : ask(host_named("h2")).value();
    is_heard(before);
    const auto token = invite(before.name);
    EXPECT_EQ(ask(with(token, before.name)).error(), Code::hostAlive);
    falls_silent();
    const auto after = ask(with(token, before.name)).value();
    EXPECT_NE(after.enrolment, before.enrolment);
    EXPECT_FALSE(store->reads().host(before.id));
    if (enrolled) {
      EXPECT_EQ(ask(again(before, before.id)).error(), Code::unauthenticated) << "the old secret is void";
    }
  }
}

TEST_F(EngineEnrolment, WithTheIdOfTheEarlierLifeItDoesSoAtOnce) {
  const auto before = ask(host_named("h")).value();
  is_heard(before);
  auto wanted = with(invite("h"), "h");
  wanted.replaces = before.id;
  EXPECT_TRUE(ask(wanted).value().enrolment);
  EXPECT_EQ(hosts(), 1u);
}

TEST_F(EngineEnrolment, AnOperatorReplacesAHost) {
  const auto host = joined("h");
  is_heard(host);
  auto wanted = host_named("h");
  wanted.by_operator = true;
  EXPECT_EQ(ask(wanted).error(), Code::nameTaken) << "not without saying so";
  wanted.replaces = host.id;
  EXPECT_FALSE(ask(wanted).value().enrolment);
  EXPECT_EQ(ask(again(host, host.id)).error(), Code::unauthenticated);
  const auto gone = joined("gone");
  is_heard(gone);
  is_forgotten();
  auto later = host_named("gone");
  later.by_operator = true;
  later.replaces = gone.enrolment;
  EXPECT_TRUE(ask(later).value().id) << "one that is away is named by its enrolment";
}

// ---- secrets

TEST_F(EngineEnrolment, BothSecretsHoldUntilTheNewOneIsUsed) {
  const auto host = joined("h");
  const auto first = enrolment(host.enrolment).secret_sha256;
  const auto next = sha256_hex("next"), next_again = sha256_hex("next again");
  EXPECT_EQ(ask(RenewHostSecret{host.id, sha256_hex("guess"), next, 9}).error(), Code::unauthenticated);
  EXPECT_TRUE(ask(RenewHostSecret{host.id, first, next, ++changes_}).value());
  EXPECT_TRUE(ask(RenewHostSecret{host.id, first, next_again, ++changes_}).value()) << "the answer was lost";
  EXPECT_EQ(enrolment(host.enrolment).earlier_sha256, first);
  EXPECT_EQ(enrolment(host.enrolment).earlier_until, clock.wall() + 3'600'000);
  restart();
  EXPECT_TRUE(ask(HostSecretUsed{host.enrolment, first}).value()) << "the one before ends nothing";
  EXPECT_EQ(enrolment(host.enrolment).earlier_sha256, first);
  EXPECT_TRUE(ask(HostSecretUsed{host.enrolment, next_again}).value());
  EXPECT_EQ(enrolment(host.enrolment).earlier_sha256, "");
  EXPECT_EQ(ask(RenewHostSecret{host.id, first, next, ++changes_}).error(), Code::unauthenticated);
  const auto plain = ask(host_named("plain")).value();
  EXPECT_EQ(ask(RenewHostSecret{plain.id, "", next, 9}).error(), Code::conflict);
  EXPECT_EQ(ask(RenewHostSecret{host.enrolment, "", next, 9}).error(), Code::hostGone);
}

}  // namespace
}  // namespace geres::hub::engine
