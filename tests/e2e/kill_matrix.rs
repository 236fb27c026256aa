//! The kill matrix: the program is stopped for good at every point where something could be lost, or loses its database,
//! and afterwards the device table is Apple's truth, no event is missing and no device was assigned needlessly.
//!
//! One round of each point runs with the other tests. More of them, with a table at the end:
//! `ADELIE_KILL_ROUNDS=50 cargo test -p adelie --test e2e kill_matrix -- --nocapture`. `ADELIE_KILL_SEED` (1) chooses
//! which rounds; a failure names the seed of its round.

mod blows;
mod dice;
mod old_schema;
mod proof;
mod stage;
mod tally;
mod webhooks;

use adelie_store_postgres::cluster::{Cluster, Durability};

use crate::harness::Database;
use tally::rounds;

/// A fresh database of the kind of another.
fn like(database: &Database) -> Database {
    if database.is_postgres() { Database::postgres().expect("there is one") } else { Database::Sqlite }
}

fn halted_at(point: &'static str, database: Database) {
    rounds(point, &database, || like(&database), |stage, dice| blows::halted(stage, dice, point));
}

on_both_databases! {
    /// L1, L16: before a page is asked for.
    fn before_a_fetch(database) {
        halted_at("fetch.before", database);
    }

    /// L1: when a page has come and nothing of it is stored.
    fn after_a_fetch(database) {
        halted_at("fetch.after", database);
    }

    /// L1, L15: inside the transaction of a page; nothing of it may stay, no event and no cursor.
    fn inside_the_transaction_of_a_page(database) {
        halted_at("page.before_commit", database);
    }

    /// L1, L11: when a page is stored; it is not stored again.
    fn after_the_commit_of_a_page(database) {
        halted_at("page.after_commit", database);
    }

    /// L23, L29: when the intent to assign is stored and nothing was sent.
    fn after_the_intent_to_assign(database) {
        halted_at("assign.after_intent", database);
    }

    /// L24, L29: when an assignment has taken effect and Apple has not answered.
    fn before_the_answer_to_an_assignment(database) {
        rounds("request sent, no answer", &database, || like(&database), blows::unanswered);
    }

    /// L24, L29: when Apple has answered an assignment and nothing of the answer is stored.
    fn after_the_answer_to_an_assignment(database) {
        halted_at("assign.answered", database);
    }

    /// L20, L23: inside the transaction that stores the answer to an assignment.
    fn inside_the_transaction_of_an_answer(database) {
        halted_at("settle.before_commit", database);
    }

    /// L15, L60: when a webhook was sent and its receiver has not answered. It is sent again, with the same id.
    fn before_the_answer_to_a_webhook(database) {
        rounds("webhook sent, no answer", &database, || like(&database), webhooks::unanswered);
    }

    /// L15, L60: when a receiver has answered and nothing of it is stored.
    fn after_the_answer_to_a_webhook(database) {
        rounds("webhook.answered", &database, || like(&database), webhooks::answered);
    }

    /// Inside the migration of a database with 200 devices that an older version has left.
    fn inside_a_migration(database) {
        rounds("migration.before_commit", &database, || like(&database), blows::migrating);
    }

    /// L16, L18: frozen for longer than its lease while another copy takes over; awake again, it changes nothing.
    fn frozen_past_its_lease(database) {
        rounds("frozen past its lease", &database, || like(&database), blows::frozen);
    }

    /// The database goes away under the running service: PostgreSQL is stopped and started again, a file is locked
    /// by another process for longer than the lease.
    fn without_its_database(database) {
        // What is committed must survive a crash here, and other tests must not be disturbed.
        let own = database.is_postgres().then(|| Cluster::start_with(Durability::Real).expect("PostgreSQL"));
        let fresh = || match &own {
            Some(cluster) => Database::Postgres(cluster.new_database().expect("a fresh database")),
            None => Database::Sqlite,
        };
        rounds("database goes away", &database, fresh, blows::outage);
    }
}

/// Connections to PostgreSQL are cut under the running service, again and again.
#[test]
fn connections_are_cut() {
    let Some(database) = Database::postgres() else { return };
    rounds("connections cut", &database, || like(&database), blows::cuts);
}
