//! The suite that every driver must pass (feature `contract`).
//!
//! A driver's test file implements [`Fixture`] for a fresh, empty database and calls
//! [`contract_tests!`](crate::contract_tests) with the path of an async function that makes one:
//!
//! ```text
//! async fn fixture() -> TempDatabase { ... }
//! adelie_store::contract_tests!(fixture);
//! ```
//!
//! Each case becomes a test of its own, with its name. Cases know traits only, never a driver.

pub mod assign;
pub mod audit;
pub mod backup;
pub mod bulk;
pub mod concurrency;
pub mod configuration;
pub mod decide;
pub mod deliveries;
pub mod devices;
mod endpoints;
pub mod escrow;
pub mod full_sync;
pub mod history;
pub mod intents;
pub mod keys;
pub mod leases;
pub mod operate;
pub mod pages;
pub mod profiles;
pub mod read_back;
pub mod retention;
pub mod revisions;
pub mod rules;
pub mod runs;
pub mod servers;
pub mod tokens;
pub mod told;
pub mod troubles;
pub mod webhooks;
pub mod work;
mod world;

use std::panic::Location;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::{Store, StoreError};

/// A fresh database, and what the suite has to know of it beyond the traits.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A handle on the database.
    fn store(&self) -> Arc<dyn Store>;

    /// Another handle on the same database, as another process would have.
    async fn another(&self) -> Arc<dyn Store>;

    /// Everything in the table of events, in the order of ids.
    async fn events(&self) -> Vec<StoredEvent>;

    /// Runs statements past the store, as somebody who has got hold of the database would; what the database says when it
    /// refuses.
    async fn past(&self, statements: &str) -> Result<(), String>;

    /// Takes away what keeps the audit from being changed.
    async fn unlock_audit(&self);

    /// Another database, as fresh and empty as this one was.
    async fn fresh(&self) -> Box<dyn Fixture>;

    /// Every column of every table, with its table.
    async fn columns(&self) -> Vec<(String, String)>;

    /// Every column of binary data in the database, with its table.
    async fn binary_columns(&self) -> Vec<(String, String)>;
}

/// An event as it stands in the database.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Like `device.added`.
    pub kind: String,
    /// The device it is about.
    pub serial: Option<String>,
    /// Details.
    pub data: Value,
}

/// What a case returns.
pub type Case = Result<(), Failed>;

/// A call that a case needs and that failed; its `Debug` says where, with the chain of causes.
pub struct Failed {
    at: &'static Location<'static>,
    error: StoreError,
}

impl From<StoreError> for Failed {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        Self { at: Location::caller(), error }
    }
}

impl std::fmt::Debug for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {}: {}", self.at, self.error)?;
        let mut source = std::error::Error::source(&self.error);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Makes one test of every case of the contract. The argument is the path of an async function without
/// arguments that returns a [`Fixture`](crate::contract::Fixture).
#[macro_export]
macro_rules! contract_tests {
    ($fixture:path) => {
        $crate::contract_tests!(@cases $fixture;
            servers {
                a_server_is_added_once_and_listed_by_name,
                a_server_that_does_not_exist_is_missing,
                a_paused_server_says_so,
                apples_wish_to_be_left_alone_is_kept,
                defaults_are_set_replaced_and_taken_away,
                a_missing_profile_changes_no_default,
                sync_settings_are_replaced,
                what_is_done_about_drift_is_a_setting,
                changes_name_their_operator,
                the_account_is_kept,
                moments_are_kept_to_the_millisecond,
            }
            keys {
                data_keys_are_changed_by_one_at_a_time,
                every_sealed_column_is_known,
                a_copied_row_does_not_open,
                values_are_exchanged_while_they_are_what_they_were,
                two_seal_everything_anew_at_once,
                what_does_not_open_is_left_alone,
            }
            tokens {
                token_keys_are_listed_newest_first,
                a_new_token_replaces_the_old_one_in_one_step,
                a_token_of_an_unknown_key_changes_nothing,
                since_changes_with_the_state_only,
                a_token_of_another_server_leaves_nothing_behind,
                what_apple_said_outlasts_a_dead_network,
                a_refused_token_is_not_tried_before_its_time,
                a_former_token_says_nothing_about_the_one_in_use,
                a_former_token_is_put_back,
                each_rung_of_the_expiry_ladder_is_told_once,
                the_calendar_hides_no_trouble,
                clock_skew_is_kept,
            }
            escrow {
                a_secret_is_kept_before_anybody_is_told,
                a_device_has_one_secret_of_a_kind_at_a_time,
                whoever_looks_at_a_secret_brings_its_end_nearer,
                secrets_are_listed_newest_first_and_page_by_page,
            }
            profiles {
                a_profile_is_added_once_with_its_content,
                a_profile_uuid_is_never_overwritten,
                a_refusal_is_kept_until_apple_takes_the_profile,
                a_forgotten_profile_is_defined_again,
            }
            revisions {
                a_revision_is_kept_with_its_document_and_its_secrets,
                a_new_revision_reaches_the_devices_of_its_profile,
                a_staged_revision_reaches_its_share_of_the_devices,
                a_removed_profile_comes_back_with_its_revisions,
                revisions_that_say_the_same_share_what_apple_has,
            }
            rules {
                a_rule_decides_before_the_defaults,
                rules_keep_their_ids_when_they_move_and_exchange_names,
                a_rule_reaches_as_far_as_its_limit,
                a_rule_of_another_process_decides_the_next_page,
                a_rule_changed_meanwhile_decides_intended_pages,
                a_tag_decides_and_outlasts_an_absence,
                devices_are_listed_by_profile_and_by_rule,
            }
            audit {
                every_change_by_hand_has_its_entry,
                what_changes_nothing_has_no_entry,
                a_change_and_its_entry_are_one,
                many_writers_make_one_chain,
                entries_are_neither_changed_nor_deleted,
                tampering_is_found,
                entries_are_found_and_paged,
                any_text_is_kept_as_it_was_hashed,
            }
            backup {
                the_catalogue_has_the_whole_schema,
                everything_comes_back,
                what_a_process_had_is_let_go,
                a_backup_is_of_one_moment,
                numbers_are_not_used_again,
                only_a_database_without_content_is_filled,
                what_fails_leaves_nothing,
                one_of_two_restores_fills_the_database,
                what_a_database_cannot_keep_is_told,
            }
            bulk {
                the_last_change_is_undone_first,
            }
            configuration {
                a_change_leads_to_the_next_version,
                changes_are_made_all_or_none,
                what_was_not_looked_at_is_not_changed,
                stored_configurations_are_what_was_worked_out,
                changes_of_two_processes_are_all_made,
                changes_and_pages_take_their_turns,
            }
            intents {
                only_the_intent_is_stored_before_the_answers,
                answers_make_of_intended_pages_what_they_make_of_stored_ones,
                pages_with_known_devices_are_refused,
                intents_under_a_lost_lease_are_the_next_holders,
                a_default_changed_meanwhile_decides_intended_pages,
                pages_stored_at_once_come_in_their_order,
                pages_after_failed_ones_are_not_stored,
            }
            leases {
                one_lease_per_server,
                an_expired_lease_is_taken_over,
                a_lease_is_renewed_and_released,
                the_same_owner_waits_as_well,
                a_stale_lease_changes_nothing,
                a_lease_of_one_server_is_not_one_of_another,
                who_works_on_a_server_is_seen,
                a_held_server_is_not_claimed,
                an_expired_lease_is_claimed,
                two_handles_never_claim_a_server_twice,
                setbacks_are_counted_until_work_ends_well,
                a_lost_lease_is_given_back_in_vain,
            }
            pages {
                a_page_commits_with_its_cursor,
                a_page_under_a_lost_lease_leaves_nothing,
                a_serial_twice_in_a_page_is_folded,
                the_same_event_twice_changes_nothing,
                an_older_event_changes_nothing,
                a_moved_device_needs_its_profile,
                an_absent_fact_does_not_erase,
                a_cursor_of_a_thousand_characters_is_kept,
                a_default_changed_meanwhile_counts,
                every_fact_survives,
                a_first_import_is_one_event_per_page,
                pages_of_every_size_are_stored_whole,
                a_deleted_device_becomes_a_tombstone,
                a_returned_device_forgets_its_assignment,
                the_same_serial_at_two_servers_is_two_devices,
                pages_stored_together_are_as_if_stored_in_turn,
                what_a_page_finds_due_can_be_sent_with_it,
            }
            full_sync {
                the_last_page_of_a_listing_moves_on_to_sync,
                the_absent_are_removed_in_batches,
                what_a_delta_saw_meanwhile_is_not_absent,
                an_interrupted_full_sync_goes_on,
                a_restart_begins_a_new_generation,
                a_full_fetch_changes_no_decision,
            }
            runs {
                runs_are_counted_and_listed_newest_first,
                runs_are_paged_for_one_server_or_all,
                a_killed_run_ends_as_interrupted,
                a_good_run_clears_failures,
                a_failed_run_says_why_and_waits,
                stuck_syncs_are_counted,
                a_lost_cursor_is_forgotten,
            }
            assign {
                a_device_is_claimed_once_and_settled,
                a_claim_takes_no_more_than_its_limit,
                a_late_settlement_is_left_alone,
                a_settlement_is_for_the_revision_that_was_sent,
                an_open_outcome_outlasts_a_changed_wish,
                a_throttled_device_waits_for_its_time,
                attempts_are_counted_until_success,
                what_was_not_sent_is_given_back,
                what_is_held_meanwhile_is_not_given_back,
                news_of_a_sent_device_leaves_it_sent,
                the_largest_group_comes_first,
                a_refused_profile_holds_only_its_own_devices,
                the_next_attempt_is_known,
            }
            read_back {
                a_silent_request_is_read_back,
                a_request_of_another_epoch_is_read_back,
                a_read_back_settles_what_was_sent,
                what_was_not_told_is_asked_again,
                what_is_held_meanwhile_stays_held,
                a_device_that_is_gone_becomes_a_tombstone,
                a_read_back_does_not_count_as_seen,
                a_read_back_brings_no_device,
                drift_is_read_back_before_it_is_repaired,
            }
            decide {
                a_changed_default_decides_all_in_batches,
                a_new_change_begins_the_deciding_anew,
                a_default_taken_away_leaves_devices_unmatched,
                a_changed_wish_does_not_overtake_what_was_sent,
            }
            devices {
                paging_walks_all_exactly_once,
                filters_agree_with_what_is_shown,
                serial_numbers_are_found_however_many_are_asked_for,
                text_is_searched_as_it_stands,
                a_view_names_profile_and_refusal,
                state_counts_agree_with_the_list,
                a_tombstone_is_shown,
            }
            work {
                a_server_has_work_when_its_sync_is_due,
                a_server_without_token_or_paused_has_no_work,
                due_devices_are_work,
                a_resumed_server_has_work_at_once,
                pending_decisions_are_work,
                work_waits_for_apple_and_after_trouble,
                a_server_that_apple_wants_left_alone_is_not_claimed,
                what_became_due_meanwhile_is_found,
                a_refused_profile_is_no_work_until_its_time,
                the_longest_due_comes_first,
            }
            operate {
                a_held_device_is_not_assigned,
                a_sent_device_is_held_once_it_is_settled,
                a_hold_outlasts_an_absence,
                what_waits_is_tried_again_on_demand,
                a_needless_retry_changes_nothing,
                an_archived_device_returns_if_apple_lists_it,
                every_serial_number_is_answered_in_order,
                an_operator_means_one_server,
                what_an_operator_asks_for_is_work_at_once,
                refused_profiles_are_tried_again_on_demand,
            }
            history {
                a_device_has_its_history,
                a_history_is_read_in_pages,
                a_history_is_of_one_server,
                details_add_a_device_on_demand,
                details_add_a_device_before_the_first_sync,
                a_history_tells_of_operators,
                an_answer_that_settles_nothing_is_not_told,
            }
            retention {
                old_tombstones_are_deleted,
                a_deleted_device_may_come_back,
                old_runs_are_deleted,
                old_events_are_deleted,
                forgetting_is_fenced,
            }
            troubles {
                devices_in_the_same_trouble_are_one_group,
                troubles_are_told_per_server,
                a_refused_profile_is_one_trouble,
                a_tombstone_is_no_trouble,
                drift_is_reported_or_repaired,
                reported_drift_is_repaired_on_demand,
            }
            webhooks {
                an_endpoint_is_kept_whole,
                events_reach_endpoints_by_their_type,
                events_reach_endpoints_by_their_server,
                pages_reach_endpoints_of_their_format_only,
                an_endpoint_is_not_told_of_itself,
                an_event_that_is_undone_leaves_no_delivery,
                what_happens_meanwhile_waits,
                a_rotated_secret_signs_for_a_while,
                a_removed_endpoint_is_gone,
                a_test_reaches_one_endpoint,
                events_are_read_in_both_directions,
                a_payload_finds_what_it_tells,
                a_page_of_news_reaches_an_endpoint_whole,
            }
            deliveries {
                two_handles_never_claim_a_delivery_twice,
                the_longest_due_delivery_goes_first,
                what_fails_is_tried_again,
                what_is_given_up_is_not_sent,
                a_lost_claim_tells_nothing_but_success,
                results_are_stored_in_any_company,
                an_endpoint_may_ask_for_rest,
                claims_are_given_back,
                what_is_due_next_is_known,
                deliveries_of_a_device_keep_their_order,
                deliveries_are_replayed,
                a_range_is_replayed,
                old_deliveries_are_forgotten,
                an_event_on_its_way_is_kept,
                who_waits_is_woken,
                deliveries_are_listed_in_pages,
            }
            told {
                a_run_that_ends_is_told_once,
                held_removals_are_told_once,
                a_lost_position_is_told_once,
                changes_of_a_token_are_told,
                profiles_and_rules_are_told,
                repaired_drift_is_told,
                intended_pages_are_told,
            }
            concurrency {
                two_handles_never_claim_a_device_twice,
                writers_do_not_disturb_each_other,
            }
        );
    };
    (@cases $fixture:path; $($module:ident { $($case:ident,)+ })+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let fixture = $fixture().await;
                $crate::contract::$module::$case(&fixture).await.expect("the contract");
            }
        )+)+
    };
}
