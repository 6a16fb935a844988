//! Text from a hostile hand: an error with a column, or a meaning, soon and in little memory.

use kiln_logical::action::{self, Pipeline, Place};
use kiln_logical::{Error, NoNames, expr, normalize};

const MIB: usize = 1 << 20;
const PLACE: Place = Place { pipeline: Pipeline::Ingress, table: 0, ingress_tables: 34, egress_tables: 16 };

/// What one text after the other is, up to about ten MiB.
fn long(piece: &str) -> String {
    piece.repeat(10 * MIB / piece.len())
}

fn expression(text: &str) -> Error {
    expr::parse(text, &NoNames).expect_err("hostile")
}

fn actions(text: &str) -> Error {
    action::parse(text, PLACE, &NoNames).expect_err("hostile")
}

#[test]
fn long_lines_are_refused_where_they_go_wrong() {
    let cases = [
        // Nesting that never ends.
        (long("("), 101),
        (long("!"), 2),
        (long("(!"), 201),
        // One token.
        (long("x"), 1),
        (long("9"), 1),
        (format!("reg0 == 0x{}", long("f")), 9),
        (format!("reg0 == {}", long("1:")), 9),
        (format!("inport == \"{}", long("a\\\\")), 11),
        (format!("reg0 == 1 /* {}", long("*")), 11),
        // What is no character of the language.
        (long("\u{1}"), 1),
        (format!("reg0 == {}\u{0}", long(" ")), 10 * MIB + 9),
        (format!("ip4 {}", long("é")), 5),
    ];
    for (text, column) in cases {
        let error = expression(&text);
        let shown: String = text.chars().take(20).collect();
        assert_eq!(error.column, column, "{shown}…: {error}");
        assert!(error.message.len() < 500, "{shown}…: a message of {} bytes", error.message.len());
        let error = actions(&text);
        assert!(error.column <= column, "{shown}…: {error}");
        assert!(error.message.len() < 500, "{shown}…: a message of {} bytes", error.message.len());
    }
}

#[test]
fn giant_sets_are_bounded() {
    let set = format!("reg0 == {{{}}}", long("1, "));
    let error = expression(&set);
    assert!(error.message.contains("members"), "{error}");
    assert!(error.column > MIB, "{error}");
    // A million are read, and are one value.
    let allowed = format!("reg0 == {{{}}}", "1, ".repeat(1 << 20));
    let expr = expr::parse(&allowed, &NoNames).expect("as many as are allowed").annotate();
    let simple = expr.simplify(&mut |_| false).expect("one value");
    let form = normalize(&simple).expect("one value");
    assert_eq!(form.conjunctions.len(), 1);
    assert_eq!(form.to_string(), "xxreg0[96..127] == 0x1");
}

#[test]
fn many_terms_are_read_and_multiplied_out_within_a_bound() {
    let terms: Vec<String> =
        (0..200_000).map(|i| format!("reg{}[{}] == {}", i % 10, i % 32, i % 2)).collect();
    let text = terms.join(" || ");
    let any = expr::parse(&text, &NoNames).expect("a long disjunction").annotate();
    let any = any.simplify(&mut |_| false).expect("bits");
    // Each alternative stays one.
    assert!(normalize(&any).is_ok_and(|form| form.conjunctions.len() == 200_000));
    let pairs: Vec<String> =
        (0..60).map(|i| format!("(reg0[{}] || reg9[{}])", i % 32, (i + 1) % 32)).collect();
    let text = pairs.join(" && ");
    let product = expr::parse(&text, &NoNames).expect("a product").annotate();
    let product = product.simplify(&mut |_| false).expect("bits");
    let error = normalize(&product).expect_err("2 to the 60th alternatives");
    assert!(error.to_string().contains("262144 conjunctions"), "{error}");
    // Four parts of one field.
    let text = "reg0 != 1 && reg1 != 2 && reg2 != 3 && reg3 != 4";
    let product = expr::parse(text, &NoNames).expect("a product").annotate();
    let product = product.simplify(&mut |_| false).expect("four terms");
    let error = normalize(&product).expect_err("2 to the 20th values");
    assert!(error.to_string().contains("262144 values"), "{error}");
}

#[test]
fn deep_actions_are_refused() {
    let event = format!("trigger_event(event = \"{}\");", long("x"));
    assert!(actions(&event).message.len() < 500);
    let error = actions(&long("clone { "));
    assert!(error.message.contains("deep"), "{error}");
    assert_eq!(error.column, 32 * 8 + 7, "{error}");
    // Length alone is no fault.
    assert!(action::parse(&long("next; "), PLACE, &NoNames).is_ok());
}
