// SPDX-License-Identifier: Apache-2.0
#include "host/artifact_sender.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/backoff.h"
#include "base/sha256.h"
#include "wire/host/host_protocol.h"

namespace geres::host {
namespace {

constexpr std::int64_t kAskFrom = 1 << 20;     // bytes; for less, asking costs more than it can save
constexpr Millis kPartPatience = 10 * 60'000;  // without a part that arrives
constexpr Millis kPartPauseMax = 15'000;

std::string in_url(const std::string& path) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string text;
  for (const unsigned char c : path) {
    if (std::isalnum(c) != 0 || c == '/' || c == '-' || c == '.' || c == '_' || c == '~')
      text += char(c);
    else
      text.append({'%', digits[c >> 4], digits[c & 15]});
  }
  return text;
}

// Of `bytes` bytes from `from` on; empty if they cannot be read.
std::string digest_of(const Fd& fd, std::int64_t from, std::int64_t bytes) {
  Sha256 digest;
  std::string buffer(256 << 10, '\0');
  while (bytes > 0) {
    const auto most = std::size_t(std::min<std::int64_t>(bytes, std::int64_t(buffer.size())));
    const ssize_t got = ::pread(fd.get(), buffer.data(), most, from);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    digest.update({buffer.data(), std::size_t(got)});
    from += got, bytes -= got;
  }
  return digest.hex();
}

// Of the file, these bytes.
HubCall link_call(const wire::LinkShape& link, const ArtifactFile& file, std::int64_t from, std::int64_t bytes) {
  HubCall call;
  call.method = "PUT";
  call.other = link.url;
  call.elsewhere = true;
  call.headers.assign(link.headers.begin(), link.headers.end());
  call.upload_fd = file.fd;
  call.upload_from = from;
  call.upload_bytes = bytes;
  return call;
}

// The store says that it has an object of that name already.
bool there_already(const HubAnswer& answer) {
  return answer.status == 412 || answer.status == 409;
}

}  // namespace

struct ArtifactSender::Transfer {
  Membership membership;
  ArtifactFile file;
  Done done;

  std::string upload;  // of parts
  std::int64_t part_bytes = 0;
  std::vector<wire::ArrivedPart> parts;  // those that have arrived
  std::string part_sha256;               // of the one on its way
  int tries = 0;                         // of that one
  Millis moved_at = 0;                   // monotonic

  std::int64_t sent() const { return std::int64_t(parts.size()) * part_bytes; }
  std::int64_t part_size() const { return std::min(part_bytes, file.size - sent()); }
};

HubCall ArtifactSender::hub_call(const Transfer& transfer, const std::string& rest) {
  HubCall call;
  call.path = "/v1/hosts/" + transfer.membership.id + "/leases/" + transfer.file.lease + rest;
  call.token = *transfer.membership.secret;
  return call;
}

void ArtifactSender::send(const Membership& membership, ArtifactFile file, Done done) {
  auto transfer = std::make_shared<Transfer>(Transfer{membership, std::move(file), std::move(done)});
  if (membership.takes_upload_questions() && transfer->file.size >= kAskFrom) return ask(transfer);
  send_through_hub(transfer, 0);
}

void ArtifactSender::ask(const TransferPtr& transfer) {
  auto call = hub_call(*transfer, "/uploads");
  call.body = json::write_text(wire::BeginUpload{transfer->file.sha256, transfer->file.size});
  link_.send(std::move(call), [this, transfer](const HubAnswer& answer) { planned(transfer, answer); });
}

void ArtifactSender::planned(const TransferPtr& transfer, const HubAnswer& answer) {
  if (!answer.ok()) return transfer->done(answer);
  const auto plan = json::read_text<wire::UploadPlan>(answer.body, json::Unknown::ignored);
  if (!plan) return send_through_hub(transfer, 0);
  if (plan->there) return transfer->done(answer);
  if (plan->link) return send_whole(transfer, *plan->link);
  if (!plan->upload || plan->partBytes <= 0) return send_through_hub(transfer, plan->received);
  transfer->upload = *plan->upload;
  transfer->part_bytes = plan->partBytes;
  transfer->moved_at = clock_.monotonic();
  next_part(transfer);
}

void ArtifactSender::send_whole(const TransferPtr& transfer, const wire::LinkShape& link) {
  const auto& file = transfer->file;
  link_.send(link_call(link, file, 0, file.size), [this, transfer](const HubAnswer& answer) {
    if (answer.ok() || there_already(answer)) return say_arrived(transfer);
    send_through_hub(transfer, 0);
  });
}

// ---- in parts

void ArtifactSender::next_part(const TransferPtr& transfer) {
  if (transfer->sent() >= transfer->file.size) return say_arrived(transfer);
  transfer->tries = 0;
  pool_.run([this, transfer, from = transfer->sent(), bytes = transfer->part_size()] {
    auto digest = digest_of(*transfer->file.fd, from, bytes);
    link_.post([this, transfer, digest = std::move(digest)]() mutable {
      if (digest.empty()) return send_through_hub(transfer, 0);  // which will say what is wrong with the file
      transfer->part_sha256 = std::move(digest);
      ask_for_link(transfer);
    });
  });
}

void ArtifactSender::ask_for_link(const TransferPtr& transfer) {
  auto call = hub_call(*transfer, "/uploads/" + transfer->file.sha256 + "/parts");
  call.body =
      json::write_text(wire::UploadPart{transfer->upload, int(transfer->parts.size()) + 1, transfer->part_sha256});
  link_.send(std::move(call), [this, transfer](const HubAnswer& answer) {
    if (!answer.ok()) return part_failed(transfer, answer);
    const auto link = json::read_text<wire::LinkShape>(answer.body, json::Unknown::ignored);
    if (!link) return send_through_hub(transfer, 0);
    send_part(transfer, *link);
  });
}

void ArtifactSender::send_part(const TransferPtr& transfer, const wire::LinkShape& link) {
  auto call = link_call(link, transfer->file, transfer->sent(), transfer->part_size());
  link_.send(std::move(call), [this, transfer](const HubAnswer& answer) {
    if (!answer.ok()) return part_failed(transfer, answer);
    transfer->parts.push_back({answer.etag, transfer->part_sha256});
    transfer->moved_at = clock_.monotonic();
    next_part(transfer);
  });
}

// A host from which the store cannot be reached at all sees that with the first part. Else the upload goes on where it
// was, when the store or the hub is back.
void ArtifactSender::part_failed(const TransferPtr& transfer, const HubAnswer& answer) {
  if (answer.status == 409 || host_gone(answer)) return transfer->done(answer);
  if (transfer->parts.empty() || clock_.monotonic() - transfer->moved_at > kPartPatience)
    return send_through_hub(transfer, 0);
  const Millis pause = std::max(answer.retry_after_ms, backoff(++transfer->tries, 100, kPartPauseMax));
  link_.after(pause, [this, transfer] { ask_for_link(transfer); });
}

void ArtifactSender::say_arrived(const TransferPtr& transfer) {
  auto call = hub_call(*transfer, "/uploads/" + transfer->file.sha256 + "/arrived");
  call.body = json::write_text(wire::UploadArrived{transfer->file.size, transfer->upload, transfer->parts});
  link_.send(std::move(call), [this, transfer](const HubAnswer& answer) {
    if (answer.ok() || answer.again() || answer.status == 409 || host_gone(answer)) return transfer->done(answer);
    send_through_hub(transfer, 0);  // the hub does not find there what we sent
  });
}

void ArtifactSender::send_through_hub(const TransferPtr& transfer, std::int64_t from) {
  const auto& file = transfer->file;
  auto call = hub_call(*transfer, "/files/" + in_url(file.path) + "?sha256=" + file.sha256 +
                                      (from > 0 ? "&from=" + std::to_string(from) : ""));
  call.method = "PUT";
  call.upload_fd = file.fd;
  call.upload_from = from;
  call.upload_bytes = file.size - from;
  link_.send(std::move(call), [transfer](const HubAnswer& answer) { transfer->done(answer); });
}

}  // namespace geres::host
