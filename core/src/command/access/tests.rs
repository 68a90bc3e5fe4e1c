//! Rules make the users that Redis would make of them, and what is kept of a user makes the same one again.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::*;
use crate::command::{CommandId, all, resolve};
use crate::resp::ArgsBuffer;
use crate::rng::{Chance, Seed};

fn made(rules: &str) -> Result<User, &'static str> {
    let words: Vec<&[u8]> =
        rules.split(' ').filter(|word| !word.is_empty()).map(str::as_bytes).collect();
    let mut user = User::nobody();
    for rule in join_selectors(&words)? {
        user.apply(&rule)?;
    }
    Ok(user)
}

fn user(rules: &str) -> User {
    made(rules).unwrap_or_else(|why| panic!("{rules}: {why}"))
}

fn text(user: &User) -> String {
    String::from_utf8(user.text()).expect("text")
}

fn may(user: &User, line: &str) -> Result<(), Denied> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
    let args = buffer.compose(&mut bytes, &words);
    let spec = resolve(&args).unwrap_or_else(|why| panic!("{line}: {why:?}"));
    user.check(spec, &args)
}

/// Rules, and how the user is kept.
#[test]
fn users_are_kept_as_redis_shows_them() {
    for (rules, wanted) in [
        ("", "off resetchannels -@all"),
        ("on nopass ~* &* +@all", "on nopass ~* &* +@all"),
        ("on nopass allkeys allchannels allcommands", "on nopass ~* &* +@all"),
        ("reset on +GET +Set ~a:* ~b:*", "on ~a:* ~b:* resetchannels -@all +get +set"),
        ("+@all -@dangerous +info", "off resetchannels +@all -@dangerous +info"),
        ("+get -get +get", "off resetchannels -@all +get"),
        ("+client|id +client", "off resetchannels -@all +client"),
        ("+client -client|kill", "off resetchannels -@all +client -client|kill"),
        ("%R~r:* %W~w:* %RW~b:* %r~b:*", "off %R~r:* %W~w:* ~b:* resetchannels -@all"),
        ("%R~* ~a %W~*", "off ~* resetchannels -@all"),
        ("~foo( ~bar &b( +get", "off ~foo( ~bar &b( -@all +get"),
        ("(+get ~a( ~b)", "off resetchannels -@all (~a( ~b resetchannels -@all +get)"),
        ("+@hash -@scripting", "off resetchannels -@all +@hash -@scripting"),
        ("~a ~b resetkeys ~c", "off ~c resetchannels -@all"),
        ("&news:* &news:* +ping", "off &news:* -@all +ping"),
        ("#$x$abc #$x$def !$x$abc", "off #$x$def resetchannels -@all"),
        ("nopass #$x$abc", "off #$x$abc resetchannels -@all"),
        ("#$x$abc nopass", "off nopass resetchannels -@all"),
        ("#$x$abc resetpass", "off resetchannels -@all"),
        (
            "(+get ~a:*) (+set ~b:*)",
            "off resetchannels -@all (~a:* resetchannels -@all +get) (~b:* resetchannels -@all +set)",
        ),
        ("(+get ~a) clearselectors", "off resetchannels -@all"),
        ("settingspass sanitize-payload", "off settingspass resetchannels -@all"),
    ] {
        let user = user(rules);
        assert_eq!(text(&user), wanted, "{rules}");
        assert_eq!(User::parse(wanted.as_bytes()), Ok(user), "{rules}: the same again");
    }
    assert_eq!(text(&User::everybody()), "on settingspass ~* &* +@all");
    assert!(User::everybody().may_do_all());
    assert!(!user("on nopass ~* &* +@all -get").may_do_all());
    assert!(!user("on nopass %R~* &* +@all").may_do_all());
}

#[test]
fn rules_that_make_no_sense_are_refused_and_change_nothing() {
    for (rule, why) in [
        ("+nosuch", "Unknown command or category name in ACL"),
        ("+@nosuch", "Unknown command or category name in ACL"),
        ("+client|nosuch", "Unknown command or category name in ACL"),
        ("+select|0", "Allowing first-arg of a subcommand is not supported"),
        ("+", "Unknown command or category name in ACL"),
        ("%~x", "Syntax error"),
        ("%X~x", "Syntax error"),
        ("%RW", "Syntax error"),
        ("what", "Syntax error"),
        ("#abc", "Syntax error"),
        (">secret", "Syntax error"),
        ("!$x$abc", "The password you are trying to remove from the user does not exist"),
        ("(+get", "Unmatched parenthesis in acl selector"),
        ("(+nosuch)", "Unknown command or category name in ACL"),
    ] {
        assert_eq!(made(rule).map(|user| text(&user)), Err(why), "{rule}");
    }
    for rule in ["~b", "%R~b"] {
        let mut user = user("on ~*");
        let before = user.clone();
        assert!(user.apply(rule.as_bytes()).is_err_and(|why| why.contains("resetkeys")), "{rule}");
        assert_eq!(user, before);
    }
    assert!(user("&*").apply(b"&b").is_err_and(|why| why.contains("resetchannels")));
    for name in ["", "a b", "a\0b", &"x".repeat(129)] {
        assert!(!is_name(name.as_bytes()), "{name:?}");
    }
    assert!(is_name(b"alice") && is_name(&[0xff, 0x80]));
}

#[test]
fn commands_and_keys_are_allowed_together() {
    let reader = user("on nopass +@read ~app:* ~{tag}*");
    let writer = user("on nopass +@all -@dangerous %R~in:* %W~out:*");
    let both = user("on nopass +ping (+get ~a:*) (+@write ~b:*)");
    let command = Err(Denied::Command);
    for (user, line, wanted) in [
        (&reader, "GET app:1", Ok(())),
        (&reader, "GET other", Err(Denied::Key(1))),
        (&reader, "MGET app:1 {tag}2 other", Err(Denied::Key(3))),
        (&reader, "SET app:1 x", command),
        (&reader, "PING", command),
        (&reader, "AUTH x", Ok(())),
        (&reader, "QUIT", Ok(())),
        (&reader, "OBJECT ENCODING app:1", Ok(())),
        (&reader, "OBJECT HELP", Ok(())),
        (&reader, "KEYS *", Ok(())),
        (&reader, "FLUSHALL", command),
        (&writer, "GET in:1", Ok(())),
        (&writer, "GET out:1", Err(Denied::Key(1))),
        (&writer, "SET out:1 x", Ok(())),
        (&writer, "SET out:1 x GET", Err(Denied::Key(1))),
        (&writer, "SET out:1 x EX 10 get", Err(Denied::Key(1))),
        (&writer, "SET in:1 x", Err(Denied::Key(1))),
        (&writer, "COPY in:1 out:1", Ok(())),
        (&writer, "COPY out:1 in:1", Err(Denied::Key(1))),
        (&writer, "RENAME in:1 out:1", Err(Denied::Key(1))),
        (&writer, "MSET out:1 a out:2 b", Ok(())),
        (&writer, "MSET out:1 a in:2 b", Err(Denied::Key(3))),
        (&writer, "INCR out:1", Err(Denied::Key(1))),
        (&writer, "EXISTS in:1 out:1", Ok(())),
        (&writer, "DEL out:1", Ok(())),
        (&writer, "FLUSHALL", command),
        (&writer, "ACL LIST", command),
        (&both, "PING", Ok(())),
        (&both, "GET a:1", Ok(())),
        (&both, "GET b:1", Err(Denied::Key(1))),
        (&both, "SET b:1 x", Ok(())),
        (&both, "INFO", command),
        (&writer, "CHANGES 1 $", Err(Denied::Key(1))),
        (&writer, "CHANGES 1 $ MATCH in:*", Ok(())),
        (&writer, "CHANGES 1 $ MATCH in:1", Ok(())),
        (&writer, "CHANGES 1 $ MATCH out:1", Err(Denied::Key(1))),
        (&writer, "CHANGES 1 $ MATCH out:*", Err(Denied::Key(1))),
        (&writer, "CHANGES 1 $ MATCH *", Err(Denied::Key(1))),
    ] {
        assert_eq!(may(user, line), wanted, "{line}");
    }
    assert_eq!(may(&User::everybody(), "CHANGES 1 $"), Ok(()));
    assert_eq!(may(&User::nobody(), "PING"), command);
}

#[test]
fn a_later_rule_for_a_command_wins_whatever_the_order_was() {
    let every: Vec<_> =
        all().flat_map(|spec| core::iter::once(spec).chain(spec.subcommands)).collect();
    let mut chance = Chance::new(Seed::from_number(7), 0);
    for _ in 0..200 {
        let mut rules = String::new();
        let mut allowed = [false; CommandId::COUNT];
        for _ in 0..chance.between(1, 12) {
            let plus = chance.chance(1, 2);
            let spec = every[chance.up_to(every.len() as u64 - 1) as usize];
            let names: &[&str] = if chance.chance(1, 3) {
                let bit = chance.up_to(category_count() - 1) as u32;
                for one in every.iter().filter(|one| one.all_categories() >> bit & 1 == 1) {
                    allowed[one.id as usize] = plus;
                }
                &[crate::command::spec::category::NAMES[bit as usize]]
            } else {
                for one in
                    core::iter::once(&spec).chain(&spec.subcommands.iter().collect::<Vec<_>>())
                {
                    allowed[one.id as usize] = plus;
                }
                &[spec.name]
            };
            rules = alloc::format!("{rules} {}{}", if plus { '+' } else { '-' }, names[0]);
        }
        let user = user(&rules);
        for spec in every.iter().filter(|spec| spec.id != CommandId::Help) {
            let has = user.root().commands().has(spec.id);
            assert_eq!(has, allowed[spec.id as usize], "{rules}: {}", spec.name);
        }
        assert_eq!(User::parse(&user.text()), Ok(user), "{rules}");
    }
}

fn category_count() -> u64 {
    crate::command::spec::category::NAMES.len() as u64
}

#[test]
fn whoever_is_not_listed_is_not_there() {
    let users = Users::default();
    assert!(!users.restricted() && users.open(None) && !users.open(Some(b"secret")));
    let listed = [("bob", "on nopass +get ~*"), ("default", "off nopass")];
    let listed = listed.map(|(name, rules)| (name.as_bytes().to_vec(), user(rules)));
    let users = Users::new(listed.into_iter());
    assert!(users.restricted() && !users.open(None));
    assert!(users.find(b"bob").is_some() && users.find(b"alice").is_none());
    let names: Vec<String> =
        users.iter().map(|account| String::from_utf8_lossy(&account.name).to_string()).collect();
    assert_eq!(names, ["bob", "default"]);
    let alone = Users::new([(b"bob".to_vec(), user("on"))].into_iter());
    assert!(alone.open(None) && !alone.open(Some(b"x")), "default is as it was");
}
