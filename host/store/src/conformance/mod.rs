//! What every store must do, as cases that any store can run: one `#[test]` for each, named after what it shows.
//!
//! A new store names this crate's feature `conformance` among its `dev-dependencies` and says in a test how a fresh store is
//! made, and what has to live as long as it (a folder, a container, a schema that is dropped):
//!
//! ```
//! use milepost_store::conformance::words::clock;
//! use milepost_store::memory::MemoryStore;
//!
//! mod memory {
//!     milepost_store::conformance!(|| (crate::MemoryStore::with_clock(crate::clock()), ()));
//! }
//! ```
//!
//! The cases own the time: leases of the store begin and end by [`clock`](words::clock).
//!
//! The cases wait for every answer, so a store may take its time. They, and the closure, run inside a tokio runtime that lives as
//! long as the test program: a store that has to connect does so with [`wait`](words::wait). Cases run side by side, each on a
//! store of its own.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "cases are tests"
)]

mod artifacts;
mod attempts;
mod counts;
mod deletion;
mod disk;
mod kin;
mod labels;
mod ownership;
mod query;
mod requests;
mod signals;
mod sweep;
pub mod words;
mod work;
mod workers;
mod writes;

use crate::Store;

/// Runs one case on a fresh store.
#[doc(hidden)]
pub fn run<S: Store, G>(fresh: impl FnOnce() -> (S, G), case: fn(&dyn Store)) {
    let _inside = words::runtime().enter();
    let (store, kept) = fresh();
    case(&store);
    drop(store);
    drop(kept);
}

/// Makes a test of every case: `module::case`. Takes what makes a fresh store; see [the module](crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($fresh:expr) => {
        $crate::conformance_cases! { tests $fresh; }
    };
}

/// Every case, given to one of two uses. One that is not listed here is dead code to the compiler.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    (tests $fresh:expr; $($module:ident { $($case:ident,)* })+) => {
        $(mod $module {
            #[allow(unused_imports, reason = "what makes a store may name anything around it")]
            use super::*;
            $(#[test]
            fn $case() {
                $crate::conformance::run($fresh, $crate::conformance::cases::$module::$case);
            })*
        })+
    };
    (cases; $($module:ident { $($case:ident,)* })+) => {
        #[doc(hidden)]
        #[allow(missing_docs, reason = "their names say it")]
        pub mod cases {
            $(pub mod $module {
                $(pub fn $case(s: &dyn $crate::Store) {
                    $crate::conformance::$module::$case(s);
                })*
            })+
        }
    };
    ($($use:tt)+) => {
        $crate::conformance_cases! {
            $($use)+
            kin {
                a_child_comes_into_being_with_the_write_that_starts_it,
                a_child_comes_with_the_run_that_is_created_too,
                a_refused_write_bears_no_child,
                a_child_that_is_there_stays_as_it_is,
                what_a_child_names_may_come_with_its_parent,
                only_a_new_run_comes_with_the_write_of_another,
                the_parent_is_set_once,
                lists_show_roots_or_the_children_of_a_run,
                the_end_of_a_run_tells_another_one_in_the_same_write,
                a_run_that_is_over_or_gone_is_told_nothing,
                what_is_told_needs_no_room_in_the_inbox,
                a_write_may_tell_several_runs_and_its_own,
                a_paused_run_that_was_told_is_found,
            }
            writes {
                create_makes_a_row_of_what_it_was_given,
                a_run_is_created_with_its_first_entry,
                a_second_create_is_refused_and_changes_nothing,
                a_create_with_entries_stands_at_the_last_of_them,
                a_write_to_an_unknown_run_is_refused,
                a_write_from_another_sequence_number_is_refused,
                a_write_from_another_epoch_is_refused,
                b237_a_conflict_names_the_present_status,
                b105_a_refused_write_leaves_nothing_behind,
                a_write_that_names_a_blob_which_is_nowhere_is_refused,
                a_write_without_entries_keeps_the_sequence_number,
                several_entries_go_into_one_write,
                entries_that_do_not_continue_are_refused,
                a_create_whose_entries_do_not_start_at_1_creates_nothing,
                the_workflow_is_set_once,
                a_write_moves_the_update_time_only,
                stop_code_due_time_and_recoveries_are_as_the_last_write_says,
                b210_every_column_of_the_head_is_as_the_last_write_says,
                b289_a_run_that_is_over_takes_no_write,
                a_create_sets_every_column_of_the_head,
                b104_parts_come_back_as_they_were_saved,
                b104_a_checkpoint_may_be_empty,
                b108_saving_twice_keeps_the_newest_state_and_the_history,
                b113_what_was_handed_over_is_a_copy,
                b114_what_is_handed_out_is_a_copy,
                b115_a_known_part_is_replaced_in_place_and_a_new_one_added,
                b118_removing_an_unknown_part_is_fine,
                b118_removing_the_last_part_leaves_an_empty_checkpoint,
                parts_of_one_write_are_taken_in_order,
                parts_are_sorted_by_the_bytes_of_their_names,
                the_part_that_every_write_changes_is_a_part_like_any_other,
                b119_all_parts_of_a_write_change_together_with_the_row,
                b121_completion_may_drop_the_checkpoint_and_keeps_the_history,
                b122_a_failed_run_keeps_its_checkpoint,
                runs_do_not_see_each_other,
                b257_of_two_runs_only_the_unfinished_one_is_listed_as_such,
                ids_that_differ_in_case_are_different_runs,
                a_write_that_is_never_awaited_is_not_made,
                of_many_writers_from_one_place_exactly_one_wins,
                a_checkpoint_is_one_moment,
                the_whole_range_of_small_numbers_is_kept,
                an_entry_keeps_the_epoch_that_it_was_given,
                the_same_write_again_is_told_apart,
            }
            ownership {
                a_create_with_a_claim_is_owned_in_epoch_1,
                a_create_without_a_claim_is_owned_by_nobody_in_epoch_0,
                b182_b274_a_claim_raises_the_epoch_and_sets_owner_and_lease,
                a_claim_replaces_the_owner,
                after_a_claim_the_former_owner_is_refused,
                of_two_claims_from_one_place_the_second_is_refused,
                b172_b276_of_many_claims_at_once_exactly_one_wins,
                a_step_keeps_owner_and_lease,
                b179_a_status_other_than_running_clears_owner_and_lease,
                a_claim_that_does_not_run_raises_the_epoch_only,
                running_again_without_a_claim_is_owned_by_nobody,
                the_epoch_goes_on_after_a_stop,
                a_renewal_moves_the_lease_and_nothing_else,
                a_renewal_in_another_epoch_is_refused,
                a_renewal_of_what_nobody_owns_is_refused,
                a_renewal_of_an_unknown_run_is_refused,
                many_claims_are_kept_by_one_question,
                a_look_at_claims_without_a_renewal_changes_nothing,
                a_lease_begins_when_the_store_takes_it,
                a_claim_that_is_given_up_is_lost_at_once,
                only_claims_that_hold_are_given_up,
                b178_b433_a_stale_claim_is_taken_over_from_where_it_was_seen,
                b179_b432_the_owner_releases_its_own_claim_only,
                b276_b280_a_claim_that_is_too_late_is_told_the_present_status,
                a_mark_is_set_once_and_only_when_the_lease_is_over,
                what_nobody_owns_is_not_marked,
                b294_a_write_and_a_renewal_take_the_mark_away,
            }
            requests {
                a_request_is_kept_while_the_run_runs,
                b285_b286_what_does_not_run_is_told_and_nothing_is_kept,
                b279_a_request_for_an_unknown_run_is_refused,
                a_stronger_request_replaces_a_weaker_one_and_never_the_reverse,
                writes_and_renewals_tell_of_a_request,
                a_status_clears_the_requests_that_mean_nothing_to_it,
                a_run_that_paused_but_moves_by_itself_keeps_a_pause,
                a_cancellation_that_is_met_is_cleared_and_nothing_else,
                a_request_that_was_cleared_does_not_come_back,
                a_refused_write_leaves_the_request,
                a_pause_can_be_withdrawn_and_what_ends_a_run_cannot,
                a_request_is_of_one_run,
                b286_the_end_of_a_run_is_stamped_once,
                b303_of_two_decisions_exactly_one_wins_and_the_other_writes_nothing,
                b303_b431_of_many_decisions_at_once_one_leaves_its_trace,
            }
            signals {
                signals_wait_in_the_order_of_their_arrival,
                a_signal_comes_back_as_it_was_sent,
                a_signal_changes_nothing_else,
                a_signal_may_come_before_anybody_waits_for_it,
                a_run_that_is_over_takes_no_signal,
                a_signal_for_an_unknown_run_is_refused,
                a_full_inbox_takes_no_more_until_one_is_taken,
                an_inbox_takes_so_many_bytes_and_no_more,
                a_write_takes_signals_with_its_entries,
                a_signal_that_is_not_there_is_a_conflict_and_nothing_changes,
                a_refused_write_leaves_the_signals,
                a_run_that_does_not_exist_has_no_signals_to_take,
                of_many_that_take_one_signal_exactly_one_does,
                a_number_is_never_used_again,
                the_end_of_a_run_keeps_what_it_never_took,
                a_token_that_is_sent_twice_is_one_signal,
                a_token_is_remembered_when_its_signal_was_taken,
                a_token_with_another_name_or_data_is_told_apart,
                a_token_is_of_one_run,
                a_token_whose_signal_was_not_kept_is_free,
                what_was_sent_with_a_token_can_be_looked_up,
                of_many_that_send_one_token_at_once_one_signal_is_kept,
            }
            deletion {
                b296_a_run_that_is_over_goes_with_everything_it_had,
                b296_a_run_that_is_not_over_is_kept,
                a_run_that_stands_elsewhere_is_kept,
                b279_what_is_unknown_or_deleted_is_not_found,
                other_runs_stay_as_they_were,
                a_blob_stays_while_another_run_uses_it,
                a_blob_stays_while_a_run_uses_it_that_only_named_it,
                an_id_may_be_used_again_for_a_new_run,
                of_a_deletion_and_a_write_at_once_exactly_one_happens,
                b433_a_late_claim_does_not_bring_a_deleted_run_back,
            }
            disk {
                every_write_adds_what_it_brings,
                a_blob_counts_once_for_each_run_that_uses_it,
                what_is_not_kept_for_good_adds_nothing,
                a_refused_write_adds_nothing,
            }
            artifacts {
                an_artifact_is_read_in_pieces,
                an_artifact_is_there_when_it_is_finished,
                a_sweep_takes_what_no_run_uses,
                a_run_may_use_artifacts_from_its_beginning,
                a_run_comes_to_use_only_what_is_there,
                what_is_discarded_goes_unless_a_run_uses_it,
            }
            attempts {
                only_the_owner_of_a_run_that_runs_notes_anything,
                a_tape_is_read_in_the_order_of_its_parts,
                a_page_of_a_tape_is_bounded,
                the_same_part_twice_is_one,
                bodies_beside_a_tape_are_blobs_of_the_run,
                a_memo_is_settled_once,
                an_execution_has_so_many_memos,
                memos_go_with_the_execution_that_begins_anew,
                a_key_changes_only_over_the_revision_that_was_read,
                a_deleted_key_leaves_nothing_behind,
                a_revision_of_a_deleted_key_never_comes_back,
                a_change_that_is_refused_takes_the_rest_with_it,
                keys_are_listed_by_their_bytes,
                keys_of_a_prefix_end_where_it_ends,
                a_bucket_has_room_for_so_many_bytes,
                buckets_outlive_runs_and_are_listed_by_name,
                artifacts_are_known_as_long_as_a_run_uses_them,
                process_groups_stay_until_somebody_saw_their_end,
                a_run_from_another_store_is_here_as_it_was_there,
                only_a_run_that_is_not_here_comes_from_another_store,
                memos_are_listed_by_path_and_key,
                only_the_owner_of_a_run_that_runs_says_anything,
                what_is_said_stands_before_what_is_written_later,
                the_latest_progress_of_each_execution_is_kept,
            }
            labels {
                labels_and_the_origin_of_a_fork_are_set_once,
                lists_show_runs_with_all_of_these_labels,
            }
            work {
                a_run_works_from_each_claim_to_where_it_stops,
                what_a_lost_owner_had_counts_to_its_last_write,
                a_clock_that_steps_back_takes_nothing_away,
                a_run_from_elsewhere_brings_how_long_it_worked,
            }
            workers {
                a_worker_is_there_for_as_long_as_it_said,
                a_worker_that_says_so_again_is_there_longer,
                a_worker_that_is_absent_is_there_no_more,
            }
            counts {
                counters_begin_at_nothing_and_add_up,
                counters_are_listed_by_the_bytes_of_their_names,
                a_counter_stays_at_the_largest_number,
                of_many_that_count_at_once_nothing_is_lost,
                counters_stay_when_runs_are_removed,
            }
            sweep {
                an_empty_store_needs_no_attention,
                what_is_over_or_merely_paused_needs_none,
                the_rows_are_the_rows,
                pending_are_the_oldest_up_to_the_limit_and_running_are_all,
                an_offer_is_for_so_many_and_due_runs_come_first,
                an_offer_passes_over_what_the_asker_would_not_take,
                running_runs_of_other_hosts_are_listed_when_their_lease_is_over,
                b210_due_are_paused_runs_whose_time_has_come_the_longest_first,
                b210_b281_b431_a_due_run_is_claimed_once,
                signalled_are_paused_runs_that_wait_for_what_is_there,
                requested_are_runs_that_stopped_before_they_met_a_request,
                old_are_runs_that_were_last_written_before,
                b296_old_are_runs_of_these_statuses_only,
                a_clean_store_is_healthy_and_counts_its_runs,
            }
            query {
                b114_of_an_unknown_run_there_is_nothing,
                an_empty_store_lists_nothing,
                a_list_is_newest_first,
                runs_of_one_moment_are_listed_by_id_downwards,
                a_listed_row_is_the_row,
                a_list_can_be_of_statuses,
                a_list_follows_every_change_of_status,
                a_list_can_be_of_a_workflow,
                a_list_can_be_of_what_was_written_later,
                a_limit_shows_the_newest_and_counts_the_rest,
                what_a_filter_hides_is_not_counted_as_more,
                pages_are_the_list_in_its_order_and_end,
                ids_by_prefix_are_sorted_and_limited,
                nothing_in_a_prefix_is_a_wildcard,
                a_journal_is_read_in_pages,
                a_page_ends_before_it_takes_too_much_memory,
                an_entry_comes_back_as_it_was_saved,
                logs_are_read_in_pages,
                a_log_line_comes_back_as_it_was_saved,
                a_blob_comes_back_as_it_was_saved,
                a_blob_that_is_there_already_is_left_alone,
                a_blob_that_does_not_match_its_digest_is_damage,
                a_damaged_blob_is_mended_by_whoever_brings_it_again,
                every_blob_is_looked_at_and_damage_names_its_users,
                a_checkpoint_holds_the_row,
            }
        }
    };
}

crate::conformance_cases! { cases; }
