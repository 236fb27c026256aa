use crate::harness::{STANDARD, World};

/// One mistake.
pub struct Case {
    pub what: &'static str,
    pub args: Vec<String>,
    pub env: Vec<(&'static str, String)>,
    pub says: Vec<&'static str>,
    /// The message itself says what to do, so that there is no hint.
    pub tells_the_way_itself: bool,
}

impl Case {
    fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    fn tells_the_way_itself(mut self) -> Self {
        self.tells_the_way_itself = true;
        self
    }
}

fn case(what: &'static str, args: &[&str], says: &[&'static str]) -> Case {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Case { what, args, env: Vec::new(), says: says.to_vec(), tells_the_way_itself: false }
}

/// The table. `lab` is synced and `bare` has no token; there is one profile, `standard`.
pub fn cases(world: &World) -> Vec<Case> {
    [
        names(world),
        files(world),
        words(),
        by_hand(world),
        own_settings(),
        settings(world),
        databases(world),
        webhooks(world),
        audit(world),
        backups(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn backups(world: &World) -> Vec<Case> {
    let taken = world.write("taken.backup", "");
    let text = world.write("text.backup", "no backup\n");
    let folder = world.home.path().display().to_string();
    vec![
        case("backup over a file", &["backup", &taken], &["taken.backup", "is there already", "--force"]),
        case("backup into no folder", &["backup", "nowhere/a.backup"], &["nowhere/a.backup", "folder"]),
        case("backup to two at once", &["backup", "-", "--json"], &["--json", "stdout"]),
        case("backup of no database", &["backup", "a.backup"], &["there is no database", "nowhere.db"])
            .env("ADELIE_DATABASE_URL", "sqlite:nowhere.db"),
        case("restore of no file", &["restore", "missing.backup"], &["missing.backup", "cannot be read"]),
        case("restore of a folder", &["restore", &folder], &["cannot be read"]),
        case("restore of a text", &["restore", &text], &["text.backup", "no backup of Adelie"]),
        case("restore of nothing", &["restore", &taken], &["taken.backup", "incomplete", "where it begins"]),
        case("check of a text", &["restore", &text, "--check"], &["text.backup", "no backup of Adelie"]),
    ]
}

fn audit(world: &World) -> Vec<Case> {
    let long = "x".repeat(501);
    let taken = world.write("audit.jsonl", "");
    vec![
        case("reason that is too long", &["server", "pause", "lab", "--reason", &long], &["one line", "500"]),
        case("entry that is not there", &["audit", "show", "4711"], &["no entry 4711", "audit list"]),
        case("entry without a number", &["audit", "show", "0"], &["0"]),
        case("unknown action", &["audit", "list", "--action", "sever.*"], &["sever.*", "docs/audit.md"]),
        case("time of no kind", &["audit", "list", "--since", "yesterday"], &["yesterday"]),
        case("head without a hash", &["audit", "verify", "--head", "42"], &["42", "64 hex digits"]),
        case("head with half a hash", &["audit", "verify", "--head", "42:00ff"], &["64 hex digits"]),
        case("export over a file", &["audit", "export", "--out", &taken], &["is there already"]),
        case("export into no folder", &["audit", "export", "--out", "nowhere/a.jsonl"], &["nowhere/a.jsonl"]),
    ]
}

fn webhooks(world: &World) -> Vec<Case> {
    let add = |what, url: &'static str, options: &[&str], says: &[&'static str]| {
        case(what, &[&["webhook", "add", url], options].concat(), says)
    };
    const GOOD: &str = "https://hooks.example.com/";
    let short = world.write("short.secret", "whsec_c2hvcnQ=");
    vec![
        add("endpoint without a scheme", "hooks.example.com", &[], &["cannot be read", "https://"]),
        add("endpoint by ftp", "ftp://hooks.example.com", &[], &["`ftp:`"]),
        add("endpoint by plain http", "http://hooks.example.com", &[], &["plain http", "ALLOW_NETWORKS"]),
        add("endpoint on this machine", "https://127.0.0.1/", &[], &["loopback", "ALLOW_NETWORKS"]),
        add("endpoint in another spelling", "https://0x7f.1/", &[], &["loopback"]),
        add("endpoint with the metadata of a cloud", "https://169.254.169.254/", &[], &["169.254.169.254"]),
        add("endpoint with a password", "https://me:secret@hooks.example.com/", &[], &["password"]),
        add("endpoint with a fragment", "https://hooks.example.com/#x", &[], &["#"]),
        add("unknown type of event", GOOD, &["--event", "devise.*"], &["devise.*", "events types"]),
        add("pattern with other letters", GOOD, &["--event", "Device.*"], &["Device.*"])
            .tells_the_way_itself(),
        add("endpoint of an unknown server", GOOD, &["--server", "nowhere"], &["nowhere", "lab"]),
        add("unknown format", GOOD, &["--format", "soap"], &["soap", "cloudevents"]),
        add(
            "types with nanodep's format",
            GOOD,
            &["--format", "nanodep", "--event", "*"],
            &["nanodep", "--event"],
        ),
        add("no posts at once", GOOD, &["--concurrency", "0"], &["--concurrency"]),
        add("secret that is too short", GOOD, &["--secret-file", &short], &["24"]).tells_the_way_itself(),
        add("secret that is not there", GOOD, &["--secret-file", "nowhere.secret"], &["nowhere.secret"]),
        case("show of an unknown endpoint", &["webhook", "show", "7"], &["7", "webhook add"]),
        case(
            "test of an unknown endpoint",
            &["webhook", "test", "https://x.example"],
            &["https://x.example"],
        ),
        case("log of an unknown delivery", &["webhook", "log", "99"], &["99", "webhook log"]),
        case("replay of an unknown delivery", &["webhook", "replay", "99"], &["99"]),
        case("replay of nothing", &["webhook", "replay"], &["--failed", "--since"]),
        case(
            "replay of a time without an endpoint",
            &["webhook", "replay", "--since", "1d"],
            &["--endpoint"],
        ),
        case("unreadable time", &["events", "list", "--since", "yesterday"], &["yesterday", "90m"]),
        case("unreadable id of an event", &["events", "show", "x"], &["evt_"]),
        case("overlap of a year", &["webhook", "rotate", "1", "--overlap", "365d"], &["30d"]),
        case("receiver with half a secret", &["webhook", "listen", "--secret", "whsec_"], &["secret"])
            .tells_the_way_itself(),
        case("networks that are none", &["webhook", "list"], &["10.0.0.0/33", "ALLOW_NETWORKS"])
            .env("ADELIE_WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/33"),
        case("network with bits after its prefix", &["webhook", "list"], &["10.1.0.0/16"])
            .env("ADELIE_WEBHOOK_ALLOW_NETWORKS", "10.1.2.3/16"),
        case("a try of no time", &["webhook", "list"], &["TIMEOUT_SECONDS", "120"])
            .env("ADELIE_WEBHOOK_TIMEOUT_SECONDS", "0"),
        case("waits that are no numbers", &["webhook", "list"], &["RETRY_SECONDS", "5,soon"])
            .env("ADELIE_WEBHOOK_RETRY_SECONDS", "5,soon"),
    ]
}

fn names(world: &World) -> Vec<Case> {
    let profile = world.write("standard.json", STANDARD);
    let p7m = world.path("lab.p7m");
    let long = "x".repeat(101);
    vec![
        case("no command", &[], &["Usage"]),
        case("unknown command", &["servers"], &["server"]),
        case("unknown verb", &["server", "ad", "x"], &["add"]),
        case("unknown option", &["sync", "--fulll"], &["--full"]),
        case("server that is there", &["server", "add", "lab"], &["already exists", "server show lab"]),
        case("server name with a slash", &["server", "add", "a/b"], &["'/'"]),
        case("server name with an equals sign", &["server", "add", "a=b"], &["'='"]),
        case("empty server name", &["server", "add", "  "], &["empty"]),
        case("long server name", &["server", "add", &long], &["101", "100"]),
        case("control character in a name", &["server", "add", "a\nb"], &["control"]),
        case("name like an option", &["server", "add", "-x"], &["-x"]),
        case("show of an unknown server", &["server", "show", "nowhere"], &["nowhere", "lab"]),
        case(
            "set of an unknown server",
            &["server", "set", "nowhere", "--default", "any=standard"],
            &["nowhere"],
        ),
        case("pause of an unknown server", &["server", "pause", "nowhere"], &["nowhere"]),
        case("resume of an unknown server", &["server", "resume", "nowhere"], &["nowhere"]),
        case("key for an unknown server", &["token", "key", "nowhere"], &["nowhere"]),
        case("import for an unknown server", &["token", "import", "nowhere", &p7m], &["nowhere"]),
        case("token of an unknown server", &["token", "show", "nowhere"], &["nowhere"]),
        case("sync of an unknown server", &["sync", "nowhere"], &["nowhere"]),
        case("sync of a known and an unknown server", &["sync", "lab", "nowhere", "--force"], &["nowhere"]),
        case("renewal of an unknown server", &["token", "renew", "nowhere"], &["nowhere"]),
        case("renewal of nobody", &["token", "renew"], &["NAME"]),
        case(
            "renewal from a folder that is none",
            &["token", "renew", "--folder", "/nowhere"],
            &["/nowhere"],
        ),
        case(
            "renewal of one from a folder of many",
            &["token", "renew", "lab", "--folder", "/nowhere"],
            &["--folder"],
        ),
        case("the key of no token again", &["token", "renew", "bare", "--reuse-key"], &["--reuse-key"]),
        case("check of nobody", &["token", "check"], &["--all"]),
        case("a former token that is none", &["token", "restore", "bare"], &["no former server token"]),
        case("an id that is none", &["token", "restore", "lab", "last"], &["last"]),
        case("sync of a server without a token", &["sync", "bare"], &["bare", "token key bare"]),
        case("devices of an unknown server", &["device", "list", "--server", "nowhere"], &["nowhere"]),
        case("unknown device", &["device", "show", "NOSUCHDEVICE"], &["NOSUCHDEVICE"]),
        case("no serial number", &["device", "show", "two words"], &["two words"]),
        case(
            "profile that is there",
            &["profile", "new", "standard", "--file", &profile],
            &["already exists"],
        ),
        case("unknown profile", &["profile", "show", "nothing"], &["nothing", "standard"]),
        case(
            "profile name with a backslash",
            &["profile", "new", "a\\b", "--file", &profile],
            &["not allowed"],
        ),
        case(
            "default to an unknown profile",
            &["server", "set", "lab", "--default", "mac=nothing"],
            &["nothing", "standard"],
        ),
        case(
            "one good and one bad default",
            &["server", "set", "lab", "--default", "ipad=standard", "--default", "mac=nothing"],
            &["nothing", "no default was changed"],
        ),
    ]
}

fn files(world: &World) -> Vec<Case> {
    let there = world.write("there.pem", "something");
    let nowhere = world.path("nowhere/lab.pem");
    let folder = world.home.path().display().to_string();
    let missing = world.path("missing.p7m");
    let huge = world.write("huge.p7m", vec![b'A'; (1 << 20) + 1]);
    let no_ending = world.write("profile", STANDARD);
    let bad = world.write("bad.toml", "profile_name = \nurl = 7");
    let ours = world.write(
        "ours.toml",
        "name = 'M'\nurl = 'https://m.example/'\nlockd = true\nuser_affinity = 'none'\n\
         web_url = 'https://w.example/'\nplatforms = ['Windows']\n",
    );
    let two = world.write("wrong.json", r#"{"profile_name": "", "url": "x", "departement": 1}"#);
    let any = world.path("lab.p7m");
    vec![
        case(
            "certificate file that is there",
            &["token", "key", "lab", "--out", &there],
            &["there.pem", "exists"],
        ),
        case(
            "certificate file in no folder",
            &["token", "key", "lab", "--out", &nowhere],
            &["nowhere/lab.pem"],
        ),
        case("certificate file that is a folder", &["token", "key", "lab", "--out", &folder], &[]),
        case("missing token file", &["token", "import", "lab", &missing], &["missing.p7m", "cannot be read"]),
        case("folder as the token file", &["token", "import", "lab", &folder], &["cannot be read"]),
        case("huge token file", &["token", "import", "lab", &huge], &["1048577"]),
        case("token without a key", &["token", "import", "bare", &any], &["no token key", "token key bare"]),
        case(
            "missing profile file",
            &["profile", "new", "x", "--file", "/nonexistent/x.json"],
            &["/nonexistent/x.json"],
        ),
        case("folder as a profile", &["profile", "validate", &format!("{folder}/data")], &[]),
        case(
            "profile file without an ending",
            &["profile", "new", "x", "--file", &no_ending],
            &[".json, .toml, .yaml"],
        ),
        case(
            "profile file with a mistake",
            &["profile", "new", "x", "--file", &bad],
            &["line 1", "nothing was stored"],
        ),
        case(
            "profile file with several mistakes",
            &["profile", "new", "x", "--file", &two],
            &["profile_name", "url", "departement"],
        ),
        case(
            "our form with a mistake",
            &["profile", "new", "x", "--file", &ours],
            &["lockd", "write `locked`", "web_url", "platforms[0]"],
        ),
        case(
            "something that is no profile of another system",
            &["profile", "import", &ours],
            &["ours.toml cannot be imported"],
        ),
        case(
            "panes that a wrong profile leaves open",
            &["profile", "skip-keys", "--uncovered-by", &ours],
            &["ours.toml is no valid", "lockd"],
        ),
        case(
            "missing file to validate",
            &["profile", "validate", "/nonexistent/x.yaml"],
            &["/nonexistent/x.yaml"],
        ),
    ]
}

fn words() -> Vec<Case> {
    vec![
        case("unknown family", &["device", "list", "--family", "toaster"], &["toaster", "appletv"]),
        case("any as a family", &["device", "list", "--family", "any"], &["--family"]),
        case("unknown state", &["device", "list", "--state", "lost"], &["lost", "throttled"]),
        case("no number", &["device", "list", "--limit", "many"], &["many"]),
        case("negative number", &["device", "list", "--limit", "-1"], &["-1"]),
        case("default without a profile", &["server", "set", "lab", "--default", "mac"], &["FAMILY=PROFILE"]),
        case(
            "default for an unknown family",
            &["server", "set", "lab", "--default", "toaster=standard"],
            &["toaster", "vision"],
        ),
        case("set without anything", &["server", "set", "lab"], &["nothing to change", "--default"]),
        case("base URL without a scheme", &["server", "add", "x", "--base-url", "apple.com"], &["https://"]),
        case(
            "base URL of a file",
            &["server", "add", "x", "--base-url", "file:///etc/passwd"],
            &["https://"],
        ),
        case(
            "base URL with a password",
            &["server", "add", "x", "--base-url", "https://a:b@example.org"],
            &["user"],
        ),
        case(
            "base URL with a query",
            &["server", "add", "x", "--base-url", "https://example.org/?a=b"],
            &["query"],
        ),
        case("address that is none", &["serve", "--listen", "8080"], &["8080"]),
        case(
            "address of another machine",
            &["serve", "--listen", "192.0.2.1:8080"],
            &["192.0.2.1:8080", "--listen"],
        ),
        case("too few devices", &["demo", "--once", "--devices", "3"], &["10"]),
        case("unknown shell", &["completions", "dos"], &["bash"]),
        case(
            "removals without a name",
            &["sync", "--full", "--force", "--accept-removals"],
            &["--accept-removals"],
        ),
        case("log filter that is none", &["server", "list", "--log", "info,=,"], &["--log"]),
        case(
            "missing scenario",
            &["simulator", "--listen", "127.0.0.1:0", "--scenario", "/nonexistent.toml"],
            &["/nonexistent.toml"],
        ),
    ]
}

fn by_hand(world: &World) -> Vec<Case> {
    let good = world.write("good.csv", "serial\nNOSUCHDEVICE\n");
    let mistakes = world.write("mistakes.csv", "Model,Serial Number\nMac,GOOD1\nMac,\nMac,two words\n");
    let untitled = world.write("untitled.csv", "Asset Tag,Name\n1,x\n");
    let empty = world.write("empty.csv", "\u{feff}Serial Number\n\n");
    let sheet = world.write("sheet.xlsx", [b'P', b'K', 3, 4, b'\n', 0xff, 0xfe]);
    let folder = world.home.path().display().to_string();
    let serial = world.apple.some("Lab", 1).remove(0);
    vec![
        case("no verb of assign", &["assign"], &["Usage"]),
        case(
            "status of an unknown server",
            &["assign", "status", "--server", "nowhere"],
            &["nowhere", "lab"],
        ),
        case("retry of nothing", &["assign", "retry"], &["nothing is named", "--server NAME"]),
        case("retry of a state everywhere", &["assign", "retry", "--state", "failed"], &["nothing is named"]),
        case(
            "retry of devices and of a state",
            &["assign", "retry", &serial, "--state", "failed"],
            &["do not go together"],
        ),
        case("retry at an unknown server", &["assign", "retry", "--server", "nowhere"], &["nowhere"]),
        case(
            "retry of an unknown state",
            &["assign", "retry", "--server", "lab", "--state", "lost"],
            &["lost", "not_accessible"],
        ),
        case(
            "retry of what is well",
            &["assign", "retry", "--server", "lab", "--state", "assigned"],
            &["assigned", "failed, not_accessible"],
        ),
        case(
            "retry of what is throttled",
            &["assign", "retry", "--server", "lab", "--state", "throttled"],
            &["throttles", "--force"],
        ),
        case("hold of nothing", &["assign", "hold"], &["no device is named", "--file CSV"]),
        case("hold of no serial number", &["assign", "hold", "two words"], &["two words"]),
        case("hold at an unknown server", &["assign", "hold", &serial, "--server", "nowhere"], &["nowhere"]),
        case("hold for two lines", &["assign", "hold", &serial, "--reason", "a\nb"], &["one line"]),
        case("unhold of nothing", &["assign", "unhold"], &["no device is named"]),
        case("unhold at an unknown server", &["assign", "unhold", &serial, "--server", "x"], &["\"x\""]),
        case(
            "missing file of devices",
            &["assign", "hold", "--file", "/nonexistent.csv"],
            &["/nonexistent.csv"],
        ),
        case("folder of devices", &["device", "ready", "--file", &folder], &["cannot be read"]),
        case(
            "file of devices with mistakes",
            &["assign", "hold", &serial, "--file", &mistakes],
            &["mistakes.csv", "line 3", "line 4", "two words", "nothing was done"],
        ),
        case(
            "file of devices without the column",
            &["assign", "hold", "--file", &untitled],
            &["line 1", "`Serial Number`"],
        ),
        case("empty file of devices", &["assign", "hold", "--file", &empty], &["no serial number"]),
        case("file of devices that is no text", &["assign", "hold", "--file", &sheet], &["UTF-8", "line 2"]),
        case("ready of nothing", &["device", "ready"], &["no device is named"]),
        case("refresh of nothing", &["device", "refresh"], &["no device is named"]),
        case(
            "refresh of a device that may be anywhere",
            &["device", "refresh", "--file", &good],
            &["NOSUCHDEVICE", "--server NAME"],
        ),
        case(
            "refresh at an unknown server",
            &["device", "refresh", &serial, "--server", "nowhere"],
            &["nowhere"],
        ),
        case("history of an unknown device", &["device", "history", "NOSUCHDEVICE"], &["NOSUCHDEVICE"]),
        case("history of no events", &["device", "history", &serial, "--limit", "0"], &["0"]),
        case("delete of nothing", &["device", "delete"], &["no device is named"]),
        case(
            "delete at an unknown server",
            &["device", "delete", &serial, "--server", "nowhere"],
            &["nowhere"],
        ),
        case("history of an unknown server", &["sync", "history", "nowhere"], &["nowhere", "lab"]),
        case("history of no syncs", &["sync", "history", "--limit", "0"], &["0"]),
        case(
            "history with what a sync takes",
            &["sync", "--force", "history", "lab"],
            &["sync history NAME"],
        ),
    ]
}

fn own_settings() -> Vec<Case> {
    let set = |what, option, value, says: &[&'static str]| {
        case(what, &["server", "set", "lab", option, value], says)
    };
    vec![
        set("interval without a unit", "--delta-interval", "15", &["15m"]),
        set("interval of nothing", "--delta-interval", "0s", &["at least 1s"]),
        set("interval of less than a second", "--full-interval", "500ms", &["at least 1s"]),
        set("interval of a century", "--full-interval", "100years", &["ten years"]),
        set("interval in words", "--manual-interval", "often", &["often", "12h"]),
        set("negative interval", "--manual-full-interval=-5m", "--json", &["-5m"]),
        set("no deadline", "--progress-deadline", "", &["90s"]),
        set("negative interval, as a word", "--delta-interval", "-5m", &["-5m", "15m"]),
        set("less than no devices", "--removal-percent", "-1", &["0 to 100"]),
        set("more than all devices", "--removal-percent", "101", &["0 to 100"]),
        set("half a percent", "--removal-percent", "0.5", &["0 to 100"]),
        set("days without end", "--tombstone-days", "forever", &["36500"]),
        set("another way with drift", "--drift", "ignore", &["repair"]),
        case(
            "a good setting and a bad default",
            &["server", "set", "lab", "--drift", "report", "--default", "mac=nothing"],
            &["nothing", "no default was changed"],
        ),
        case(
            "setting of an unknown server",
            &["server", "set", "nowhere", "--drift", "report"],
            &["nowhere"],
        ),
    ]
}

fn settings(world: &World) -> Vec<Case> {
    let unknown = world.write("unknown.toml", "user_agent = \"x\"\ncolour = \"blue\"\n");
    let broken = world.write("broken.toml", "user_agent = \n");
    let typed = world.write("typed.toml", "\nlease_seconds = \"long\"\n");
    let low = world.write("low.toml", "lease_seconds = 0\n");
    let scenario = world.write("scenario.toml", "[[step]]\naction = \"explode\"\n");
    let list = ["server", "list"];
    vec![
        case("unknown key in the settings file", &list, &["unknown.toml", "colour", "lease_seconds"])
            .env("ADELIE_CONFIG", unknown),
        case("broken settings file", &list, &["broken.toml", "line 1"]).env("ADELIE_CONFIG", broken),
        case("wrong type in the settings file", &list, &["typed.toml", "line 2"]).env("ADELIE_CONFIG", typed),
        case("value out of range in the settings file", &list, &["lease_seconds", "low.toml"])
            .env("ADELIE_CONFIG", low),
        case(
            "missing settings file",
            &["server", "list", "--config", "/nonexistent.toml"],
            &["/nonexistent.toml"],
        ),
        case("no number in the environment", &list, &["ADELIE_LEASE_SECONDS", "soon"])
            .env("ADELIE_LEASE_SECONDS", "soon"),
        case("zero in the environment", &list, &["ADELIE_REQUESTS_IN_FLIGHT"])
            .env("ADELIE_REQUESTS_IN_FLIGHT", "0"),
        case("more than all", &list, &["ADELIE_REMOVAL_PERCENT", "101"]).env("ADELIE_REMOVAL_PERCENT", "101"),
        case("no interval in the environment", &list, &["ADELIE_MANUAL_INTERVAL_SECONDS"])
            .env("ADELIE_MANUAL_INTERVAL_SECONDS", "0"),
        case("days without end in the environment", &list, &["ADELIE_TOMBSTONE_DAYS", "36500"])
            .env("ADELIE_TOMBSTONE_DAYS", "99999"),
        case("no server at once", &list, &["ADELIE_SERVERS_AT_ONCE"]).env("ADELIE_SERVERS_AT_ONCE", "0"),
        case("unknown method", &list, &["ADELIE_ASSIGN_METHOD", "put"]).env("ADELIE_ASSIGN_METHOD", "patch"),
        case("address in the environment", &["serve"], &["nonsense"]).env("ADELIE_LISTEN", "nonsense"),
        case(
            "scenario with an unknown step",
            &["simulator", "--listen", "127.0.0.1:0", "--scenario", &scenario],
            &["scenario.toml", "explode", "the commands are"],
        )
        .tells_the_way_itself(),
        case("data directory in a file", &list, &["data directory"])
            .env("ADELIE_DATA_DIR", world.write("file", "x") + "/data"),
    ]
}

fn databases(world: &World) -> Vec<Case> {
    let text = world.write(
        "text.db",
        "this is a text file and no database, although it is long enough to be one. ".repeat(20),
    );
    let folder = world.home.path().display().to_string();
    let list = ["server", "list"];
    let at =
        |what, url: String, says: &[&'static str]| case(what, &list, says).env("ADELIE_DATABASE_URL", url);
    vec![
        at("database of another kind", "mysql://u:geheim@h/d".to_owned(), &["SQLite", "PostgreSQL"]),
        at("database without a path", "sqlite:".to_owned(), &["sqlite:PATH"]),
        at(
            "text file as a database",
            format!("sqlite:{text}"),
            &["text.db", "no SQLite database", "name another file"],
        )
        .tells_the_way_itself(),
        at("folder as a database", format!("sqlite:{folder}"), &["name a file in it"]).tells_the_way_itself(),
        at("database in a file", format!("sqlite:{text}/adelie.db"), &["text.db", "not a folder"])
            .tells_the_way_itself(),
        at("PostgreSQL URL that is none", "postgres://[".to_owned(), &["postgres://USER"])
            .tells_the_way_itself(),
    ]
}
