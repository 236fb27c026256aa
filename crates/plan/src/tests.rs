use adelie_model::{DriftMode, ProfileId, ProfileName, RevisionId, RuleId, ServerId};
use adelie_profile::Format;
use adelie_rules::{Condition, Scope};
use adelie_store::SyncSettings;
use adelie_store::configuration::{
    Change, Configuration, Head, NewRevision, RevisionRef, ServerConfiguration, Staged, StoredRule, Version,
    edits,
};
use proptest::prelude::*;

use super::*;

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a good name")
}

/// A revision with this one word in it.
fn says(word: &str) -> NewRevision {
    NewRevision { content_hash: word.to_owned(), ..NewRevision::default() }
}

fn head(id: i64, profile: &str, word: &str) -> Head {
    let in_force = RevisionRef { id: RevisionId(id * 10), number: 3, hash: says(word).hash() };
    Head { id: ProfileId(id), name: name(profile), newest: 3, in_force, staged: None }
}

fn file(path: &str, text: &str) -> FolderFile {
    FolderFile { path: path.to_owned(), text: text.to_owned() }
}

/// Profiles are one word each, and lists are words with spaces between.
struct Words<'f>(&'f [FolderFile]);

impl Reader for Words<'_> {
    fn profile(&self, file: &FolderFile, _: Format) -> Result<NewRevision, Vec<String>> {
        match file.text.trim() {
            "bad" => Err(vec!["it is bad".to_owned()]),
            word => Ok(says(word)),
        }
    }

    fn serials(&self, path: &str) -> Result<Vec<String>, String> {
        let list = self.0.iter().find(|file| file.path == path).ok_or("there is no such file".to_owned())?;
        Ok(list.text.split_whitespace().map(str::to_owned).collect())
    }
}

fn read(files: &[FolderFile]) -> Result<Wanted, Vec<Problem>> {
    Wanted::read(files, &Words(files))
}

fn school() -> Configuration {
    Configuration {
        version: Version(1),
        profiles: vec![head(1, "ipads", "old"), head(2, "macs", "old")],
        removed: Vec::new(),
        rules: Vec::new(),
        servers: vec![ServerConfiguration {
            id: ServerId(1),
            name: name("school"),
            defaults: vec![(Scope::Any, name("ipads"))],
            settings: SyncSettings { drift: Some(DriftMode::Report), ..SyncSettings::default() },
        }],
    }
}

#[test]
fn a_folder_in_any_format_says_what_is_wanted() {
    let toml = read(&[
        file("profiles/macs.toml", "new"),
        file(
            "rules.toml",
            "[[rule]]\nname = 'labs'\nprofile = 'macs'\nserver = 'school'\nwhen = ['family=mac']\nserials = 'lists/labs.csv'\n",
        ),
        file("servers.toml", "[school.defaults]\nmac = 'macs'\n[school.settings]\ndelta-interval = '30m'\n"),
        file("lists/labs.csv", "C02A C02B"),
        file("README.md", "not ours"),
    ]);
    let yaml = read(&[
        file("profiles/macs.yaml", "new"),
        file(
            "rules.yml",
            "rule:\n- name: labs\n  profile: macs\n  server: school\n  when: [family=mac]\n  serials: lists/labs.csv\n",
        ),
        file("servers.yaml", "school:\n  defaults: { mac: macs }\n  settings: { delta-interval: 30m }\n"),
        file("lists/labs.csv", "C02A C02B"),
    ]);
    let wanted = toml.expect("a good folder");
    assert_eq!(Ok(&wanted), yaml.as_ref());
    let rule = &wanted.rules.as_ref().expect("rules")[0];
    let conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
    assert_eq!(conditions, ["family=mac", "serial=C02A,C02B"]);
    assert_eq!(wanted.servers[0].settings.expect("settings").delta_interval_s, Some(1800));
}

#[test]
fn everything_that_is_wrong_is_said_with_its_file() {
    for (files, says) in [
        (vec![], ".: there is no rules.toml"),
        (vec![file("rule.toml", "")], "rule.toml: it is none of rules, servers and profiles/NAME"),
        (vec![file("rules.toml", ""), file("rules.json", "{}")], "rules.json: there is rules.toml as well"),
        (
            vec![file("profiles/a.toml", "x"), file("profiles/a.json", "x")],
            "there is another file for profile a",
        ),
        (vec![file("profiles/a.toml", "bad")], "profiles/a.toml: it is bad"),
        (vec![file("profiles/-a.toml", "x")], "profiles/-a.toml: the name starts with a dash"),
        (vec![file("rules.toml", "[[rule]]\nname='a'\nprofile='b'\nwhen=['seral=x']")], "nearest: serial"),
        (vec![file("rules.toml", "[[rule]]\nname='a'\nprofil='b'")], "unknown field `profil`"),
        (
            vec![file("rules.json", r#"{"rule":[{"name":"a","profile":"b"},{"name":"a","profile":"b"}]}"#)],
            "there twice",
        ),
        (
            vec![file("rules.toml", "[[rule]]\nname='a'\nprofile='b'\nserials='x.csv'")],
            "x.csv: there is no such file",
        ),
        (
            vec![file("servers.toml", "[s.defaults]\nmacs = 'a'")],
            "servers.toml: s: \"macs\" names no device family",
        ),
        (vec![file("servers.toml", "[s.settings]\ndelta-interval = 'soon'")], "is no length of time"),
        (vec![file("servers.toml", "[s.settings]\nremoval-percent = 101")], "from 0 to 100"),
    ] {
        let problems = read(&files).expect_err(says);
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(text.iter().any(|problem| problem.contains(says)), "{says}: {text:?}");
    }
}

#[test]
fn names_that_nothing_stands_behind_are_refused() {
    let wanted = read(&[
        file("rules.toml", "[[rule]]\nname='a'\nprofile='nobody'\nserver='elsewhere'"),
        file("servers.toml", "[town.defaults]\nany='nobody'"),
    ]);
    let problems = changes(&school(), &wanted.expect("it reads"), Prune::No).expect_err("refused");
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 4, "{text:?}");
    assert!(text[1].contains("add it with `adelie server add elsewhere`"), "{}", text[1]);
}

#[test]
fn only_what_is_named_is_touched_and_the_rest_goes_with_prune_alone() {
    let wanted = read(&[
        file("profiles/macs.toml", "new"),
        file("servers.toml", "[school.defaults]\nmac = 'macs'\n[school.settings]\ntombstone-days = 30\n"),
    ]);
    let wanted = wanted.expect("it reads");
    let lines = |prune| {
        let changes = changes(&school(), &wanted, prune).expect("good names");
        edits(&school(), &changes).expect("it can be done").lines
    };
    let kept = [
        "put revision 4 of profile macs in force",
        "make macs the default for mac at school",
        "change the settings of school",
    ];
    assert_eq!(lines(Prune::No), kept);
    assert_eq!(
        lines(Prune::Yes),
        [kept[0], kept[1], "take the default for any away at school", kept[2], "remove profile ipads"]
    );
    assert_eq!(
        left_alone(&school(), &wanted),
        ["profile ipads", "default any=ipads at school", "settings of school"]
    );
}

/// Its author decides when a revision that some devices have is in force, not whoever applies the folder it came from.
#[test]
fn a_roll_out_goes_on() {
    let mut now = school();
    let revision = RevisionRef { id: RevisionId(99), number: 4, hash: says("new").hash() };
    now.profiles[1].staged = Some(Staged { revision, percent: 10, paused: false });
    let changes_by = |word| {
        let wanted = read(&[file("profiles/macs.toml", word)]).expect("it reads");
        changes(&now, &wanted, Prune::No).expect("good names")
    };
    assert_eq!((changes_by("new"), changes_by("old")), (Vec::new(), Vec::new()));
    let third = changes_by("third");
    assert!(matches!(&third[..], [Change::Revise { percent: 100, .. }]), "the folder says otherwise");
}

#[test]
fn an_effect_counts_devices_by_what_they_are_to_have() {
    use adelie_model::{Actual, AssignState, Assignment, Device, RunId, SerialNumber};
    let now = school();
    let wanted = read(&[file("rules.toml", "[[rule]]\nname='labs'\nprofile='macs'\nwhen=['serial=L*']")]);
    let changes = changes(&now, &wanted.expect("it reads"), Prune::No).expect("good names");
    let after = edits(&now, &changes).expect("it can be done").after;
    let evaluator = Evaluator::new(&now, &after);
    let mut effect = Effect::default();
    let moment = chrono::DateTime::UNIX_EPOCH;
    for serial in ["L1", "L2", "X1"] {
        let device = Device {
            server: ServerId(1),
            serial: SerialNumber::from_apple(serial.to_owned()),
            actual: Actual::default(),
            op_date: None,
            op_digest: None,
            first_seen_at: moment,
            last_seen_at: moment,
            seen_run: RunId(1),
            removed_at: None,
            hold: None,
            tags: Vec::new(),
            assignment: Assignment {
                state: AssignState::Due,
                reason: String::new(),
                attempts: 0,
                next_attempt_at: None,
                wanted: None,
                rule: None,
            },
        };
        effect.count(evaluator.look(&device, &name("school")));
    }
    let given = |profile: &str| Some(Given { profile: name(profile), revision: 3 });
    let moved = Move { server: name("school"), from: given("ipads"), to: given("macs") };
    assert_eq!((effect.devices, effect.moved()), (3, 2));
    assert_eq!(effect.moves.into_iter().collect::<Vec<_>>(), [(moved, 2)]);
}

const PROFILES: [&str; 4] = ["a", "b", "c", "d"];
const RULES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let texts =
        vec!["family=mac", "serial=C02*,DMP*", "tag=lab,x\\,y", "asset-tag=", "assigned-date=>=2026-01-01"];
    let long = (0..25).map(|n| format!("S{n:03}")).collect::<Vec<_>>().join(",");
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).chain([format!("serial={long}")]).collect();
    prop::sample::subsequence(texts, 0..4)
        .prop_map(|texts| texts.iter().map(|text| text.parse().expect("a good condition")).collect())
}

fn servers() -> Vec<ServerConfiguration> {
    let server = |id, text| ServerConfiguration {
        id: ServerId(id),
        name: name(text),
        defaults: Vec::new(),
        settings: SyncSettings::default(),
    };
    vec![server(1, "school"), server(2, "Town Hall")]
}

prop_compose! {
    /// All profiles, some rules in some order, some defaults.
    fn configuration()(
        words in prop::collection::vec("[xy]", 4),
        rules in prop::sample::subsequence(RULES.to_vec(), 0..=6).prop_shuffle(),
        bodies in prop::collection::vec((conditions(), 0_usize..4, prop::option::of(0_usize..2)), 6),
        defaults in prop::collection::vec((0_usize..7, 0_usize..4), 0..5),
        days in prop::option::of(1_u32..90),
    ) -> Configuration {
        let mut servers = servers();
        for (scope, profile) in defaults {
            let default = (Scope::ALL[scope].clone(), name(PROFILES[profile]));
            let known = &mut servers[profile % 2].defaults;
            if !known.iter().any(|(scope, _)| *scope == default.0) {
                known.push(default);
            }
        }
        for server in &mut servers {
            server.settings = SyncSettings { tombstone_days: days, delta_interval_s: days, ..server.settings };
            server.defaults.sort_by_key(|(scope, _)| Scope::ALL.iter().position(|known| known == scope));
        }
        let rules = rules.iter().zip(bodies).enumerate().map(|(at, (rule, (conditions, profile, only)))| StoredRule {
            id: RuleId(at as i64 + 1),
            name: name(rule),
            only: only.map(|at| (servers[at].id, servers[at].name.clone())),
            conditions,
            profile: name(PROFILES[profile]),
        }).collect();
        let profiles = PROFILES.iter().zip(words).enumerate()
            .map(|(at, (profile, word))| head(at as i64 + 1, profile, &word)).collect();
        Configuration { version: Version(1), profiles, removed: Vec::new(), rules, servers }
    }
}

/// The folder of a configuration, whose profiles are one word each.
fn exported(configuration: &Configuration) -> Vec<FolderFile> {
    let profiles = configuration.profiles.iter().map(|head| ExportedProfile {
        name: head.name.clone(),
        text: head.in_force.hash.trim_matches(':').to_owned(),
    });
    export(configuration, profiles.collect()).expect("it can be written")
}

/// All that people decide, without ids and versions.
fn decided(configuration: &Configuration) -> impl PartialEq + std::fmt::Debug {
    let profiles: Vec<(ProfileName, String)> =
        configuration.profiles.iter().map(|head| (head.name.clone(), head.in_force.hash.clone())).collect();
    let rules: Vec<StoredRule> =
        configuration.rules.iter().cloned().map(|rule| StoredRule { id: RuleId(0), ..rule }).collect();
    (profiles, rules, configuration.servers.clone())
}

proptest! {
    #[test]
    fn what_is_exported_leads_to_no_change(now in configuration()) {
        let wanted = read(&exported(&now)).expect("it reads");
        prop_assert_eq!(changes(&now, &wanted, Prune::Yes), Ok(Vec::new()));
    }

    #[test]
    fn a_folder_leads_from_anywhere_to_what_it_was_exported_from(now in configuration(), then in configuration()) {
        let wanted = read(&exported(&then)).expect("it reads");
        let changes = changes(&now, &wanted, Prune::Yes).expect("good names");
        let after = edits(&now, &changes).expect("it can be done").after;
        // Settings that a server has none of are not written, and what is not written stays.
        let mut then = then;
        for (server, was) in then.servers.iter_mut().zip(&now.servers) {
            if server.settings == SyncSettings::default() {
                server.settings = was.settings;
            }
        }
        prop_assert_eq!(decided(&after), decided(&then));
        prop_assert_eq!(self::changes(&after, &wanted, Prune::Yes), Ok(Vec::new()), "a second time changes nothing");
    }

    #[test]
    fn without_prune_nothing_goes_and_a_second_time_changes_nothing(now in configuration(), then in configuration()) {
        let wanted = read(&exported(&then)).expect("it reads");
        let changes = changes(&now, &wanted, Prune::No).expect("good names");
        let after = edits(&now, &changes).expect("it can be done").after;
        for rule in &now.rules {
            prop_assert!(after.rule(&rule.name).is_some());
        }
        let named = |rule: &&StoredRule| then.rule(&rule.name).is_some();
        let order = |rules: &[StoredRule]| rules.iter().filter(named).map(|rule| rule.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(order(&after.rules), order(&then.rules));
        prop_assert_eq!(self::changes(&after, &wanted, Prune::No), Ok(Vec::new()));
    }
}
