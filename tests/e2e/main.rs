//! End-to-end tests: the real `adelie` binary against the simulated Apple, on both databases.
//! `tests/README.md` says how to run them.

#[macro_use]
mod harness;

mod account_commands;
mod assign_commands;
mod assignments;
mod audit;
mod backups;
mod canaries;
mod copies;
mod crash;
mod cursors;
mod delta;
mod demo;
mod escrow;
mod events;
mod help;
mod history;
mod imports;
mod keys;
mod kill_matrix;
mod lessons;
mod plans;
mod profile_files;
mod profile_forms;
mod readiness;
mod removals;
mod renewal_dialogue;
mod renewals;
mod revisions;
mod rollouts;
mod rule_answers;
mod rule_members;
mod rules;
mod secrets;
mod serve;
mod server_settings;
mod tags;
mod token_files;
mod token_health;
mod token_kills;
mod token_states;
mod walkthrough;
mod webhook_receivers;
mod webhooks;
mod whole_way;
mod wrong_input;
