//! The members of a rule's conditions: adding some never undoes what somebody else has added.

use crate::harness::{World, text};

/// The conditions of a rule, as they are written.
fn when(world: &World, rule: &str) -> Vec<String> {
    let shown = world.object(&["rule", "show", rule]);
    let all = shown["when"].as_array().expect("a list");
    all.iter().map(|condition| condition.as_str().expect("a text").to_owned()).collect()
}

on_both_databases! {
    /// Single patterns come and go; the others and the other conditions stay.
    fn members_come_and_go_one_by_one(database) {
        let world = World::synced(database, 30);
        let serials = world.apple.some("Lab", 6);
        world.add_profile_of("Carts");
        let first = format!("serial={},{}", serials[0], serials[1]);
        world.run(&["rule", "add", "carts", "--when", "os=*", "--when", &first, "--profile", "Carts"]).exits(0);
        world.settle();
        let uuid = world.profile_uuid("Carts", "lab");

        let (new, old) = (format!("serial={},{}", serials[2], serials[3]), format!("serial={}", serials[0]));
        world.run(&["rule", "set", "carts", "--add", &new, "--remove", &old]).exits(0);
        assert_eq!(when(&world, "carts"), ["os=*".to_owned(), format!("serial={}", serials[1..4].join(","))]);
        let sent = world.settle();
        assert!(sent.contains(&(uuid, serials[2..4].to_vec())), "{sent:?}");
        assert!(sent.contains(&(world.profile_uuid("standard", "lab"), serials[..1].to_vec())), "{sent:?}");
        assert_eq!(sent.len(), 2, "{sent:?}");

        // What is there already is no change, and what is not there cannot go.
        let again = world.object(&["rule", "set", "carts", "--add", &new]);
        assert_eq!(again["changed"], false, "{again}");
        world.run(&["rule", "set", "carts", "--remove", &old]).exits(2).complains(&serials[0]);
        // A condition on a field that it has none on is one more.
        world.run(&["rule", "set", "carts", "--add", "tag=cart"]).exits(0);
        assert_eq!(when(&world, "carts").last().map(String::as_str), Some("tag=cart"));
    }

    /// Many people add members at the same time, and others take some away: all of it counts.
    fn members_that_are_added_at_the_same_time_all_stay(database) {
        let world = World::synced(database, 20);
        let serials = world.apple.some("Lab", 12);
        world.add_profile_of("Carts");
        let first = format!("serial={}", serials[..6].join(","));
        world.run(&["rule", "add", "carts", "--when", &first, "--profile", "Carts"]).exits(0);
        let running: Vec<_> = serials[6..]
            .iter()
            .map(|serial| format!("serial={serial}"))
            .map(|serial| world.start(&["rule", "set", "carts", "--add", &serial]))
            .chain(serials[..5].iter().map(|serial| {
                world.start(&["rule", "set", "carts", "--remove", &format!("serial={serial}")])
            }))
            .collect();
        for run in running {
            run.wait().exits(0);
        }
        let shown = when(&world, "carts").remove(0);
        let mut members: Vec<_> = shown.trim_start_matches("serial=").split(',').map(str::to_owned).collect();
        members.sort_unstable();
        assert_eq!(members, serials[5..]);
        world.settle();
        assert_eq!(world.have("Carts", "lab", "Lab"), serials[5..]);
    }

    /// Serial numbers come from CSV files, as a reseller sends them, and from standard input; `*` is no pattern there.
    fn members_from_files(database) {
        let world = World::synced(database, 30);
        let serials = world.apple.some("Lab", 9);
        world.add_profile_of("Carts");
        let rows: Vec<_> = serials[..4].iter().map(|serial| format!("Mac,{}\r\n", serial.to_lowercase())).collect();
        let file = world.write("delivery.csv", format!("\u{feff}Model,Serial Number\r\n{}", rows.concat()));
        world.run(&["rule", "add", "carts", "--serials", &file, "--profile", "Carts"]).exits(0);
        world.settle();
        assert_eq!(world.have("Carts", "lab", "Lab"), serials[..4]);

        let more = world.write("more.csv", serials[4..].join("\n"));
        world.run(&["rule", "set", "carts", "--add-serials", &more]).exits(0);
        let fewer = world.run_fed(&serials[..2].join("\n"), &["rule", "set", "carts", "--remove-serials", "-"]);
        fewer.exits(0);
        let sent = world.settle();
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert_eq!(world.have("Carts", "lab", "Lab"), serials[2..]);
        let table = world.run(&["rule", "list"]).exits(0).stdout;
        assert!(table.contains(" more"), "a long list is cut in a table: {table}");

        // As a pattern it would be every device.
        let star = world.write("star.csv", "*\n");
        world.run(&["rule", "set", "carts", "--add-serials", &star]).exits(0);
        assert_eq!(world.settle(), []);

        let before = world.decided();
        for (name, content) in [("empty.csv", ""), ("bad.csv", "serial,x\ntwo words,y\n"), ("wide.csv", "a,b\nc,d\n")] {
            let file = world.write(name, content);
            let run = world.run(&["rule", "set", "carts", "--add-serials", &file]).exits(2);
            run.complains(name).complains("hint: ");
        }
        world.run(&["rule", "add", "x", "--serials", "nowhere.csv", "--profile", "Carts"]).exits(2);
        assert_eq!(world.decided(), before);
        let rule = world.object(&["rule", "show", "carts"]);
        assert_eq!((text(&rule, "profile"), &rule["devices"]), ("Carts", &7.into()), "{rule}");
    }
}
