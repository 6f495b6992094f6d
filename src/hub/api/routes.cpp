// SPDX-License-Identifier: Apache-2.0
#include "hub/api/routes.h"

#include <array>

#include "hub/api/sign_in.h"

namespace geres::hub::api {
namespace {

using enum http::Method;
constexpr bool kLegacy = true;
constexpr bool kTokenInQuery = true;

// clang-format off
constexpr std::array kRoutes{
  // jobs
  Route{post,    "/v1/jobs",                       Needs::submitter, post_jobs},
  Route{get,     "/v1/jobs",                       Needs::viewer,    list_jobs},
  Route{post,    "/v1/jobs/cancel",                Needs::submitter, cancel_jobs},
  Route{post,    "/v1/jobs/redrive",               Needs::submitter, redrive_jobs},
  Route{post,    "/v1/jobs/dismiss",               Needs::submitter, dismiss_jobs},
  Route{get,     "/v1/jobs/{id}",                  Needs::viewer,    get_job},
  Route{patch,   "/v1/jobs/{id}",                  Needs::submitter, patch_job},
  Route{post,    "/v1/jobs/{id}/cancel",           Needs::submitter, cancel_job},
  Route{post,    "/v1/jobs/{id}/redrive",          Needs::submitter, redrive_job},
  Route{post,    "/v1/jobs/{id}/dismiss",          Needs::submitter, dismiss_job},
  Route{get,     "/v1/jobs/{id}/why",              Needs::viewer,    why_job},
  Route{get,     "/v1/jobs/{id}/attempts",         Needs::viewer,    list_attempts},
  Route{get,     "/v1/jobs/{id}/events",           Needs::viewer,    list_job_events},
  Route{get,     "/v1/jobs/{id}/log",              Needs::viewer,    get_log},
  Route{get,     "/v1/jobs/{id}/files",            Needs::viewer,    list_job_files},
  Route{get,     "/v1/jobs/{id}/files/{path...}",  Needs::viewer,    get_job_file},
  // events
  Route{get,     "/v1/events",                     Needs::viewer,    stream_events, false, kTokenInQuery},
  Route{post,    "/hubs/jobs/negotiate",           Needs::viewer,    signalr_negotiate, false, kTokenInQuery},
  Route{get,     "/hubs/jobs",                     Needs::viewer,    signalr_connect, false, kTokenInQuery},
  Route{post,    "/hubs/jobs",                     Needs::viewer,    signalr_send, false, kTokenInQuery},
  Route{delete_, "/hubs/jobs",                     Needs::viewer,    signalr_end, false, kTokenInQuery},
  // webhooks
  Route{post,    "/v1/webhooks",                   Needs::submitter, post_webhook},
  Route{get,     "/v1/webhooks",                   Needs::viewer,    list_webhooks},
  Route{get,     "/v1/webhooks/{id}",              Needs::viewer,    get_webhook},
  Route{patch,   "/v1/webhooks/{id}",              Needs::submitter, patch_webhook},
  Route{delete_, "/v1/webhooks/{id}",              Needs::submitter, delete_webhook},
  Route{post,    "/v1/webhooks/{id}/test",         Needs::submitter, test_webhook},
  Route{get,     "/v1/webhooks/{id}/deliveries",   Needs::viewer,    list_deliveries},
  Route{post,    "/v1/webhooks/{id}/replay",       Needs::submitter, replay_webhook},
  // batches
  Route{post,    "/v1/batches",                    Needs::submitter, post_batch},
  Route{get,     "/v1/batches",                    Needs::viewer,    list_batches},
  Route{get,     "/v1/batches/{id}",               Needs::viewer,    get_batch},
  Route{delete_, "/v1/batches/{id}",               Needs::submitter, delete_batch},
  Route{post,    "/v1/batches/{id}/close",         Needs::submitter, close_batch},
  Route{post,    "/v1/batches/{id}/cancel",        Needs::submitter, cancel_batch},
  Route{post,    "/v1/batches/{id}/pause",         Needs::submitter, pause_batch},
  Route{post,    "/v1/batches/{id}/resume",        Needs::submitter, resume_batch},
  // packages and input files
  Route{get,     "/v1/packages",                   Needs::viewer,    list_packages},
  Route{post,    "/v1/packages/sync",              Needs::operator_, sync_packages},
  Route{put,     "/v1/packages/{tenant}/{name}",   Needs::submitter, put_package},
  Route{get,     "/v1/packages/{tenant}/{name}",   Needs::download,  get_package},
  Route{delete_, "/v1/packages/{tenant}/{name}",   Needs::submitter, delete_package},
  Route{put,     "/v1/files/{tenant}",             Needs::submitter, put_file},
  Route{get,     "/v1/files/{tenant}/{sha256}",    Needs::download,  get_file},
  // hosts, for people
  Route{get,     "/v1/hosts",                      Needs::viewer,    list_hosts},
  Route{post,    "/v1/hosts/invites",              Needs::admin,     post_invite},
  Route{get,     "/v1/hosts/invites",              Needs::admin,     list_invites},
  Route{delete_, "/v1/hosts/invites/{id}",         Needs::admin,     delete_invite},
  Route{get,     "/v1/hosts/{id}",                 Needs::viewer,    get_host},
  Route{delete_, "/v1/hosts/{id}",                 Needs::operator_, remove_host},
  Route{post,    "/v1/hosts/{id}/drain",           Needs::operator_, drain_host},
  Route{post,    "/v1/hosts/{id}/resume",          Needs::operator_, resume_host},
  // a fleet that sizes itself
  Route{get,     "/v1/scaler",                             Needs::operator_, get_scaler},
  Route{post,    "/v1/scaler/lease",                       Needs::operator_, take_scaler_lease},
  Route{get,     "/v1/scaler/decisions",                   Needs::operator_, list_decisions},
  Route{get,     "/v1/scaler/machines",                    Needs::operator_, list_machines},
  Route{get,     "/v1/scaler/load",                        Needs::operator_, list_load},
  Route{get,     "/v1/scaler/demand",                      Needs::operator_, get_demand},
  Route{get,     "/v1/scaler/metric",                      Needs::operator_, get_scaler_metric},
  Route{get,     "/v1/scaler/pools",                       Needs::operator_, list_pools},
  Route{get,     "/v1/scaler/pools/{name}",                Needs::operator_, get_pool},
  Route{put,     "/v1/scaler/pools/{name}",                Needs::operator_, put_pool},
  Route{delete_, "/v1/scaler/pools/{name}",                Needs::operator_, delete_pool},
  Route{post,    "/v1/scaler/pools/{name}/pause",          Needs::operator_, pause_pool},
  Route{post,    "/v1/scaler/pools/{name}/resume",         Needs::operator_, resume_pool},
  Route{post,    "/v1/scaler/pools/{name}/scale",          Needs::operator_, scale_pool},
  Route{get,     "/v1/scaler/pools/{name}/book",           Needs::operator_, get_pool_book},
  Route{post,    "/v1/scaler/pools/{name}/record",         Needs::operator_, record_scaling},
  Route{post,    "/v1/scaler/pools/{name}/joinToken",      Needs::operator_, post_join_token},
  Route{post,    "/v1/hosts/drain",                        Needs::operator_, drain_hosts},
  Route{post,    "/v1/hosts/resume",                       Needs::operator_, resume_hosts},
  Route{post,    "/v1/hosts/{id}/retire",                  Needs::operator_, retire_host},
  // hosts, for hosts
  Route{post,    "/v1/hosts",                      Needs::registrar, register_host},
  Route{post,    "/v1/hosts/{id}/secret",          Needs::host,      renew_host_secret},
  Route{post,    "/v1/hosts/{id}/fetch",           Needs::host,      host_fetch},
  Route{post,    "/v1/hosts/{id}/report",          Needs::host,      host_report},
  Route{put,     "/v1/hosts/{id}/leases/{lease}/files/{path...}", Needs::host, put_lease_file},
  Route{post,    "/v1/hosts/{id}/leases/{lease}/uploads", Needs::host, begin_lease_upload},
  Route{post,    "/v1/hosts/{id}/leases/{lease}/uploads/{sha256}/parts", Needs::host, link_lease_part},
  Route{post,    "/v1/hosts/{id}/leases/{lease}/uploads/{sha256}/arrived", Needs::host, end_lease_upload},
  // tenants and tokens
  Route{get,     "/v1/tenants",                    Needs::viewer,    list_tenants},
  Route{get,     "/v1/tenants/{tenant}",           Needs::viewer,    get_tenant},
  Route{put,     "/v1/tenants/{tenant}",           Needs::operator_, put_tenant},
  Route{post,    "/v1/tokens",                     Needs::admin,     post_token},
  Route{get,     "/v1/tokens",                     Needs::admin,     list_tokens},
  Route{delete_, "/v1/tokens/{id}",                Needs::admin,     delete_token},
  // the hub itself
  Route{get,     "/v1/info",                       Needs::token,     get_info},
  Route{get,     "/v1/status",                     Needs::viewer,    get_status},
  Route{get,     "/metrics",                       Needs::viewer,    get_metrics},
  Route{get,     "/healthz",                       Needs::nothing,   get_healthz},
  Route{get,     "/readyz",                        Needs::nothing,   get_readyz},
  Route{get,     "/openapi.yaml",                  Needs::nothing,   get_openapi},
  Route{get,     "/errors",                        Needs::nothing,   get_errors},
  Route{get,     "/",                              Needs::nothing,   get_root},
  Route{get,     "/assets/{path...}",              Needs::nothing,   get_asset},
  // people in browsers
  Route{get,     "/v1/live",                       Needs::viewer,    open_live, false, true},
  Route{get,     "/v1/operations/{id}",            Needs::viewer,    get_operation},
  Route{get,     "/v1/me",                         Needs::caller,    get_me},
  Route{get,     "/v1/auth",                       Needs::nothing,   get_auth},
  Route{post,    "/v1/auth/test",                  Needs::admin,     test_auth},
  Route{get,     "/auth/login",                    Needs::nothing,   begin_sign_in},
  Route{get,     "/auth/callback",                 Needs::nothing,   end_sign_in},
  Route{post,    "/v1/session",                    Needs::nothing,   post_session},
  Route{get,     "/v1/session",                    Needs::token,     get_session},
  Route{delete_, "/v1/session",                    Needs::token,     delete_session},
  Route{post,    "/v1/session/codes",              Needs::token,     post_session_code},
  // the GeRes2 face
  Route{post,    "/api/jobcontrol/jobs",                      Needs::submitter, legacy_post_job,    kLegacy},
  Route{post,    "/api/jobcontrol/jobs/list",                 Needs::submitter, legacy_post_jobs,   kLegacy},
  Route{post,    "/api/jobcontrol/jobs/list/{batch}",         Needs::submitter, legacy_post_jobs,   kLegacy},
  Route{post,    "/api/jobcontrol/jobs/{id}",              Needs::submitter, legacy_post_job,    kLegacy},
  Route{delete_, "/api/jobcontrol/jobs/{id}",                 Needs::submitter, legacy_delete_job,  kLegacy},
  Route{put,     "/api/jobcontrol/batch",                     Needs::submitter, legacy_put_batch,   kLegacy},
  Route{delete_, "/api/jobcontrol/batch/close/{id}",          Needs::submitter, legacy_close_batch, kLegacy},
  Route{delete_, "/api/jobcontrol/batch/delete/{id}",         Needs::submitter, legacy_cancel_batch, kLegacy},
  Route{get,     "/api/jobmonitor/job/{id}",                  Needs::viewer,    legacy_get_job,     kLegacy},
  Route{get,     "/api/jobmonitor/jobs/{batch}",              Needs::viewer,    legacy_list_jobs,   kLegacy},
  Route{get,     "/api/jobmonitor/batch",                     Needs::viewer,    legacy_list_batches, kLegacy},
};
// clang-format on

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

}  // namespace geres::hub::api
