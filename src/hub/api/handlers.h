// SPDX-License-Identifier: Apache-2.0
// All handlers by name, as the route table lists them; one source file per resource.
#pragma once

#include "hub/api/call.h"

namespace geres::hub::api {

// submit.cpp, jobs.cpp, bulk.cpp
awaitable<Answered> post_jobs(Call& call);
awaitable<Answered> list_jobs(Call& call);
awaitable<Answered> get_job(Call& call);
awaitable<Answered> patch_job(Call& call);
awaitable<Answered> cancel_job(Call& call);
awaitable<Answered> redrive_job(Call& call);
awaitable<Answered> dismiss_job(Call& call);
awaitable<Answered> why_job(Call& call);
awaitable<Answered> list_attempts(Call& call);
awaitable<Answered> list_job_events(Call& call);
awaitable<Answered> cancel_jobs(Call& call);
awaitable<Answered> redrive_jobs(Call& call);
awaitable<Answered> dismiss_jobs(Call& call);

// events.cpp
awaitable<Answered> stream_events(Call& call);

// signalr.cpp
awaitable<Answered> signalr_negotiate(Call& call);
awaitable<Answered> signalr_connect(Call& call);
awaitable<Answered> signalr_send(Call& call);
awaitable<Answered> signalr_end(Call& call);

// logs.cpp, files.cpp
awaitable<Answered> get_log(Call& call);
awaitable<Answered> list_job_files(Call& call);
awaitable<Answered> get_job_file(Call& call);
awaitable<Answered> put_file(Call& call);
awaitable<Answered> get_file(Call& call);

// batches.cpp
awaitable<Answered> post_batch(Call& call);
awaitable<Answered> list_batches(Call& call);
awaitable<Answered> get_batch(Call& call);
awaitable<Answered> delete_batch(Call& call);
awaitable<Answered> close_batch(Call& call);
awaitable<Answered> cancel_batch(Call& call);
awaitable<Answered> pause_batch(Call& call);
awaitable<Answered> resume_batch(Call& call);

// packages.cpp
awaitable<Answered> put_package(Call& call);
awaitable<Answered> get_package(Call& call);
awaitable<Answered> delete_package(Call& call);
awaitable<Answered> list_packages(Call& call);
awaitable<Answered> sync_packages(Call& call);

// hosts.cpp: for people
awaitable<Answered> list_hosts(Call& call);
awaitable<Answered> get_host(Call& call);
awaitable<Answered> remove_host(Call& call);
awaitable<Answered> drain_host(Call& call);
awaitable<Answered> resume_host(Call& call);

// invites.cpp: join tokens
awaitable<Answered> post_invite(Call& call);
awaitable<Answered> list_invites(Call& call);
awaitable<Answered> delete_invite(Call& call);

// pools.cpp: a fleet that sizes itself, for operators
awaitable<Answered> list_pools(Call& call);
awaitable<Answered> get_pool(Call& call);
awaitable<Answered> put_pool(Call& call);
awaitable<Answered> delete_pool(Call& call);
awaitable<Answered> pause_pool(Call& call);
awaitable<Answered> resume_pool(Call& call);
awaitable<Answered> scale_pool(Call& call);

// scaler.cpp: to look at it
awaitable<Answered> get_scaler(Call& call);
awaitable<Answered> list_decisions(Call& call);
awaitable<Answered> list_machines(Call& call);
awaitable<Answered> list_load(Call& call);

// scaling.cpp: for the scaler
awaitable<Answered> take_scaler_lease(Call& call);
awaitable<Answered> get_pool_book(Call& call);
awaitable<Answered> record_scaling(Call& call);
awaitable<Answered> post_join_token(Call& call);
awaitable<Answered> drain_hosts(Call& call);
awaitable<Answered> resume_hosts(Call& call);
awaitable<Answered> retire_host(Call& call);

// demand.cpp
awaitable<Answered> get_demand(Call& call);
awaitable<Answered> get_scaler_metric(Call& call);

// host_calls.cpp: for hosts
awaitable<Answered> register_host(Call& call);
awaitable<Answered> renew_host_secret(Call& call);
awaitable<Answered> host_fetch(Call& call);
awaitable<Answered> host_report(Call& call);
awaitable<Answered> put_lease_file(Call& call);
awaitable<Answered> begin_lease_upload(Call& call);
awaitable<Answered> link_lease_part(Call& call);
awaitable<Answered> end_lease_upload(Call& call);

// tenants.cpp, tokens.cpp
awaitable<Answered> list_tenants(Call& call);
awaitable<Answered> get_tenant(Call& call);
awaitable<Answered> put_tenant(Call& call);
awaitable<Answered> post_token(Call& call);
awaitable<Answered> list_tokens(Call& call);
awaitable<Answered> delete_token(Call& call);

// webhooks.cpp
awaitable<Answered> post_webhook(Call& call);
awaitable<Answered> list_webhooks(Call& call);
awaitable<Answered> get_webhook(Call& call);
awaitable<Answered> patch_webhook(Call& call);
awaitable<Answered> delete_webhook(Call& call);
awaitable<Answered> test_webhook(Call& call);
awaitable<Answered> list_deliveries(Call& call);
awaitable<Answered> replay_webhook(Call& call);

// system.cpp
awaitable<Answered> get_root(Call& call);
awaitable<Answered> get_asset(Call& call);
awaitable<Answered> get_openapi(Call& call);
awaitable<Answered> get_errors(Call& call);
awaitable<Answered> get_healthz(Call& call);
awaitable<Answered> get_readyz(Call& call);
awaitable<Answered> get_metrics(Call& call);
awaitable<Answered> get_info(Call& call);
awaitable<Answered> get_status(Call& call);
// Of one tenant; empty: of all that the caller sees.
awaitable<Result<json::object>> status_of(Call& call, std::string tenant);

// legacy.cpp: the GeRes2 face
awaitable<Answered> legacy_post_job(Call& call);
awaitable<Answered> legacy_post_jobs(Call& call);
awaitable<Answered> legacy_delete_job(Call& call);
awaitable<Answered> legacy_put_batch(Call& call);
awaitable<Answered> legacy_close_batch(Call& call);
awaitable<Answered> legacy_cancel_batch(Call& call);
awaitable<Answered> legacy_get_job(Call& call);
awaitable<Answered> legacy_list_jobs(Call& call);
awaitable<Answered> legacy_list_batches(Call& call);

// session_calls.cpp
awaitable<Answered> post_session(Call& call);
awaitable<Answered> get_session(Call& call);
awaitable<Answered> delete_session(Call& call);
awaitable<Answered> post_session_code(Call& call);

// auth.cpp: identity providers, and who asks
awaitable<Answered> get_me(Call& call);
awaitable<Answered> get_auth(Call& call);
awaitable<Answered> test_auth(Call& call);

// live.cpp
awaitable<Answered> open_live(Call& call);

// operations.cpp
awaitable<Answered> get_operation(Call& call);
json::object operation_json(const BulkWork::Work& work);

}  // namespace geres::hub::api
