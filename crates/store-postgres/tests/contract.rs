//! The contract that every store keeps, on a fresh PostgreSQL database per case.

mod common;

use common::Database;

adelie_store::contract_tests!(Database::new);
