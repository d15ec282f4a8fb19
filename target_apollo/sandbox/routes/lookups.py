"""The endpoints from which a client reads stages, users and usage."""

from __future__ import annotations

import json
from typing import Any

from target_apollo.sandbox.data.formats import blank
from target_apollo.sandbox.routes.searches import asked_page
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.rate_windows import EndpointWindows

# Keys of a user, with the marks of `blank`.
_USER = """
id team_id first_name last_name title email cookie_consent_data created_at credit_limit
direct_dial_credit_limit export_credit_limit ai_credit_limit salesforce_account deleted-
opt_out_html_template name apple_user_id referral_code password_needs_reset- salesforce_id
default_account_overview_layout_id default_contact_overview_layout_id
default_person_overview_layout_id default_organization_overview_layout_id
default_opportunity_overview_layout_id default_home_overview_layout_id
default_gen_pipe_home_overview_layout_id default_win_close_home_overview_layout_id
default_crm_home_overview_layout_id bridge_calls- bridge_phone_number bridge_incoming_calls-
bridge_incoming_phone_number current_email_verified+ record_calls+ salesforce_instance_url
permission_set_id default_use_local_numbers- disable_email_linking sync_salesforce_id sync_crm_id
zp_contact_id chrome_extension_downloaded- zp_is_super_analytics_user email_oauth_signin_only+
notification_last_created_at crm_requested_to_integrate has_invited_user- has_used_enrichment-
has_uploaded_csv- has_hidden_onboarding- notification_last_read_at daily_data_request_email-
data_request_emails+ daily_task_email+ free_data_credits_email+ dismiss_new_team_suggestion+
request_email_change_to self_identified_persona territory_is_active- conversation_is_private
show_deals_detail_page_updates_modal+ parent_user_id parent_user_source fields_fully_loaded+
typed_custom_fields connected_to_slack- crm_email added_contact_to_sequence-
has_approved_emailer_campaign- main_emailer_campaign_id emailer_campaign_created-
sequence_launch_promo_shown- push_sequences_in_app_notification_shown-
show_recommendation_feed_closing_banner+ current_onboarding_step onboarding_use_cases{}
onboarding_survey has_visited_enrichment- has_visited_recommendations skip_use_case_selection-
skip_onboarding_with_ai_workflow- has_seen_crm_stage_mapping_reminders
has_seen_crm_mapping_toasters excluded_csv_columns{} has_seen_persona_onboarding
has_completed_news_onboarding has_hidden_feed_call_to_action has_hidden_persona_creation_dialog
has_seen_intent_data_topic_save_limit_dialog show_link_google_mailbox_page-
has_seen_intent_data_settings_page_banner has_hidden_rules_engine_templates_library
has_hidden_rules_engine_template_widget has_hidden_rules_engine_transition_banner
has_seen_rules_engine_template_promo- has_hidden_template_library_permission_banner
rendered_invite_banner_on_the_search_page_at dismissed_invite_banner_on_the_search_page_at
dismissed_invite_banner_on_the_manage_users_page_at in_app_marketing_shown_plays- show_plays_tour+
prefer_top_nav- preferred_side_nav_state has_seen_sequences_unresponsive_contacts_nudge-
has_tried_plays- has_created_rule_config credits_awarded_for{} subteam_ids[]
prospect_territory_ids[] toggled_on_territory_ids[] linked_salesforce
linked_zoom_conference_account- linked_bot_conference_account-
linked_bot_conference_account_platforms[] has_conference_account- linked_hubspot-
linked_salesloft- linked_crm_name chrome_extension_enabled_features[]
chrome_extension_exclude_from_websites[] chrome_extension_everywhere_icon_horizontal_position
chrome_extension_everywhere_icon_vertical_position_in_vh
default_chrome_extension_log_email_send_to_salesforce+
default_chrome_extension_log_email_send_to_hubspot+
chrome_extension_auto_match_salesforce_opportunity+ chrome_extension_gmail_enable_email_tools+
enable_desktop_notifications- enable_gmail_desktop_notifications
default_chrome_extension_enable_reminders- chrome_extension_gmail_enable_crm_sidebar+
show_chrome_extension_buying_intent_promo+ apollo_everywhere_search_count chrome_extension_used_at
"""

_ASSISTANT_SETTING = """
_id deal_size_metric inactive_account_stage_ids[] inactive_contact_stage_ids[]
insight_deal_size_signals{} insight_sale_cycle_signals{} insight_win_rate_signals{}
is_persona_recommendation_requested- job_posting_locations[] job_posting_titles[]
latest_funding_days max_num_active_accounts max_people_in_sequence_per_account
num_inactive_days_to_re_engage persona_ids[] should_show_persona_banner+
success_case_account_stage_ids[] team_id technology_uids[] territory_company_size_ranges[]
territory_location_override- territory_locations[] territory_person_locations[] user_id id key
"""


_BLANK_USER = {
    **blank(_USER),
    "opt_out_html_template": "",
    "referral_code": "sandbox",
    "chrome_extension_everywhere_icon_horizontal_position": "right",
    "chrome_extension_everywhere_icon_vertical_position_in_vh": 10,
    "apollo_everywhere_search_count": 0,
}

_BLANK_SETTING = {
    **blank(_ASSISTANT_SETTING),
    "deal_size_metric": "amount",
    "latest_funding_days": 90,
    "max_num_active_accounts": 100,
    "max_people_in_sequence_per_account": 5,
    "num_inactive_days_to_re_engage": 180,
}


def user_object(user: dict[str, Any]) -> dict[str, Any]:
    """A user as GET /users/search answers it."""
    return {
        **_BLANK_USER,
        **user,
        "permission_set_id": user["team_id"],
        "assistant_setting": {
            **_BLANK_SETTING,
            **dict.fromkeys(("_id", "id", "key", "user_id"), user["id"]),
            "team_id": user["team_id"],
        },
    }


def contact_stages(call: Call) -> Any:
    """GET /contact_stages."""
    return {"contact_stages": call.store.contact_stages}


def account_stages(call: Call) -> Any:
    """GET /account_stages."""
    return {"account_stages": call.store.account_stages}


def users(call: Call) -> Any:
    """GET and POST /users/search: the answer has the page as text, and what the query has so."""
    page = asked_page(call)
    told = {"page": str(page.number)}
    if (size := call.parameter("per_page")) is not None:
        told["per_page"] = size
    members = list(call.store.workspace.users.values())
    return {
        "pagination": {**page.pagination(len(members)), **told},
        "users": [user_object(user) for user in page.of(members)],
        "num_fetch_result": None,
    }


_CREDITS = [
    "num_credits_remaining",
    "effective_num_lead_credits",
    "num_lead_credits_used",
    "effective_num_direct_dial_credits",
    "num_direct_dial_credits_used",
    "effective_num_export_credits",
    "num_export_credits_used",
    "effective_num_ai_credits",
    "num_ai_credits_used",
    "effective_num_power_up_credits",
    "num_power_up_credits_used",
    "total_unified_credits_used",
]


def profile(call: Call) -> Any:
    """GET /users/api_profile: the acting user, not nested under a key."""
    user = call.store.workspace.users[call.user_id]
    shown: dict[str, Any] = {
        key: user[key] for key in ("id", "team_id", "first_name", "last_name", "title", "email")
    }
    if call.parameter("include_credit_usage") == "true":
        shown.update(dict.fromkeys(_CREDITS, 0))
    return shown


def usage_stats(call: Call) -> Any:
    """POST /usage_stats/api_usage_stats: the usage of each endpoint, under a key that is JSON."""
    schedule = call.options.schedule()
    stats: dict[str, Any] = {}
    for endpoint in call.endpoints:
        windows = call.windows.get(endpoint.entry) or EndpointWindows()
        usage = windows.usage(schedule, call.now)
        stats[json.dumps([endpoint.controller, endpoint.action])] = {
            window.window: {
                "limit": window.limit,
                "consumed": window.used,
                "left_over": None if window.limit is None else max(0, window.limit - window.used),
            }
            for window in reversed(usage)
        }
    return stats


# (credit, allowance of a cycle)
_CREDIT_LIMITS = (
    ("lead_credit", 10_000),
    ("direct_dial_credit", 1_000),
    ("export_credit", 5_000),
    ("conversation_credit", 500),
    ("ai_credit", 2_000),
    ("power_up_credit", 1_000),
    ("inbound_website_visitor_credit", 1_000),
    ("dialer", 500),
    ("web_search_record_credit", 1_000),
    ("contact_website_visitor_credit", 1_000),
)


def credit_stats(call: Call) -> Any:
    """POST /usage_stats/credit_usage_stats: nothing that the sandbox serves costs a credit."""
    first_day = f"{call.stamp[:8]}01T00:00:00.000Z"
    return {
        "credit_usage_stats": {
            credit: {"limit": limit, "consumed": 0, "left_over": limit}
            for credit, limit in _CREDIT_LIMITS
        },
        "current_credit_cycle": {"start_date": first_day, "end_date": _a_month_later(first_day)},
    }


def _a_month_later(first_day: str) -> str:
    year, month = int(first_day[:4]), int(first_day[5:7])
    year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return f"{year:04d}-{month:02d}{first_day[7:]}"
