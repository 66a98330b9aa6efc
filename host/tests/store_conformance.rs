//! What every store must do, as cases that are run against each of them. A new store is one more line in `stores!`.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "store/ownership.rs"]
mod ownership;
#[path = "store/query.rs"]
mod query;
mod store;
#[path = "store/writes.rs"]
mod writes;

use milepost::store::memory::MemoryStore;
use milepost::store::sqlite::{Durability, SqliteStore};

/// Every case of every module, once per store, as `store::module::case`.
macro_rules! conformance {
    ($($module:ident { $($case:ident,)* })*) => {
        mod memory {
            use super::*;
            $(mod $module {
                use super::*;
                $(#[test]
                fn $case() {
                    crate::$module::$case(&MemoryStore::new());
                })*
            })*
        }
        mod sqlite {
            use super::*;
            $(mod $module {
                use super::*;
                $(#[test]
                fn $case() {
                    let folder = tempfile::tempdir().unwrap();
                    let path = folder.path().join("store.db");
                    crate::$module::$case(&SqliteStore::open(&path, Durability::PowerLoss).unwrap());
                })*
            })*
        }
    };
}

conformance! {
    writes {
        create_makes_a_row_of_what_it_was_given,
        a_second_create_is_refused_and_changes_nothing,
        a_create_with_entries_stands_at_the_last_of_them,
        a_write_to_an_unknown_run_is_refused,
        a_write_from_another_sequence_number_is_refused,
        a_write_from_another_epoch_is_refused,
        b237_a_conflict_names_the_present_status,
        b105_a_refused_write_leaves_nothing_behind,
        a_write_without_entries_keeps_the_sequence_number,
        several_entries_go_into_one_write,
        entries_that_do_not_continue_are_refused,
        a_create_whose_entries_do_not_start_at_1_creates_nothing,
        the_workflow_is_set_once,
        a_write_moves_the_update_time_only,
        stop_code_due_time_and_recoveries_are_as_the_last_write_says,
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
        a_claim_raises_the_epoch_and_sets_owner_and_lease,
        a_claim_replaces_the_owner,
        after_a_claim_the_former_owner_is_refused,
        of_two_claims_from_one_place_the_second_is_refused,
        of_many_claims_at_once_exactly_one_wins,
        a_step_keeps_owner_and_lease,
        a_status_other_than_running_clears_owner_and_lease,
        a_claim_that_does_not_run_raises_the_epoch_only,
        running_again_without_a_claim_is_owned_by_nobody,
        the_epoch_goes_on_after_a_stop,
        a_renewal_moves_the_lease_and_nothing_else,
        a_renewal_in_another_epoch_is_refused,
        a_renewal_of_what_nobody_owns_is_refused,
        a_renewal_of_an_unknown_run_is_refused,
        a_cancel_request_is_kept_for_whoever_decides,
        the_first_cancel_request_keeps_its_time,
        a_terminal_run_has_nothing_to_cancel,
        a_cancel_request_for_an_unknown_run_is_refused,
        writes_and_renewals_tell_of_a_cancel_request,
        a_cancel_request_moves_neither_place_nor_update_time,
        a_cancel_request_outlives_what_is_not_terminal,
        a_terminal_status_clears_the_cancel_request,
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
        a_limit_shows_the_newest_and_counts_the_rest,
        what_a_filter_hides_is_not_counted_as_more,
        ids_by_prefix_are_sorted_and_limited,
        nothing_in_a_prefix_is_a_wildcard,
        a_journal_is_read_in_pages,
        an_entry_comes_back_as_it_was_saved,
        logs_are_read_in_pages,
        a_log_line_comes_back_as_it_was_saved,
        a_blob_comes_back_as_it_was_saved,
        a_blob_that_is_there_already_is_left_alone,
        a_blob_that_does_not_match_its_digest_is_damage,
        a_checkpoint_holds_the_row,
    }
}
