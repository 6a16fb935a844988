//! Matches and actions of logical flows in a form in which equal means equal: no comments, no blanks that say nothing, what
//! `&&`, `||` and braces hold in order.

/// A match in its form.
pub(crate) fn expression(text: &str) -> String {
    disjunction(&compact(text))
}

/// Actions without comments and blanks that say nothing.
pub(crate) fn actions(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(open) = text.find("/*") {
        let close = text[open..].find("*/").map_or(text.len(), |at| open + at + 2);
        text.replace_range(open..close, " ");
    }
    compact(&text)
}

/// The text with blanks only where they part two words; those in quotation marks stay.
fn compact(text: &str) -> String {
    let word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '@');
    let mut out = String::new();
    let mut blank = false;
    let mut quoted = false;
    for letter in text.chars() {
        if letter.is_whitespace() && !quoted {
            blank = true;
            continue;
        }
        if blank && word(letter) && out.chars().next_back().is_some_and(word) {
            out.push(' ');
        }
        blank = false;
        quoted ^= letter == '"';
        out.push(letter);
    }
    out
}

/// The terms of a chain of one operator, those of chains within it of the same operator included.
fn terms(text: &str, operator: &str) -> Vec<String> {
    let parts = split(text, operator);
    if let [part] = parts[..] {
        return match part.strip_prefix('(').and_then(|part| part.strip_suffix(')')) {
            Some(inside) if is_balanced(inside) => terms(inside, operator),
            _ => vec![part.to_owned()],
        };
    }
    parts.into_iter().flat_map(|part| terms(part, operator)).collect()
}

fn disjunction(text: &str) -> String {
    let mut all: Vec<String> = terms(text, "||").iter().map(|term| conjunction(term)).collect();
    all.sort();
    all.dedup();
    all.join(" || ")
}

fn conjunction(text: &str) -> String {
    let form = |term: &String| match split(term, "||").len() {
        1 => relation(term),
        _ => format!("({})", disjunction(term)),
    };
    let mut all: Vec<String> = terms(text, "&&").iter().map(form).collect();
    all.sort();
    all.dedup();
    all.join(" && ")
}

/// A relation with the elements of its braces in order, and none around a single one.
fn relation(text: &str) -> String {
    let braces = text.split_once('{').and_then(|(before, rest)| Some((before, rest.strip_suffix('}')?)));
    let Some((before, inside)) = braces else { return text.to_owned() };
    let mut elements: Vec<&str> = inside.split(',').collect();
    elements.sort_unstable();
    match elements[..] {
        [single] => format!("{before}{single}"),
        _ => format!("{before}{{{}}}", elements.join(",")),
    }
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0;
    text.chars().all(|letter| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        depth >= 0
    }) && depth == 0
}

/// The parts between an operator where no parenthesis or quotation mark is open.
fn split<'a>(text: &'a str, operator: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' | '{' if !quoted => depth += 1,
            ')' | '}' if !quoted => depth -= 1,
            _ if !quoted && depth == 0 && at >= start && text[at..].starts_with(operator) => {
                parts.push(&text[start..at]);
                start = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::{actions, expression};

    #[test]
    fn order_and_blanks_say_nothing() {
        let form = "(a==1 || b) && c=={1,2} && x";
        assert_eq!(expression("x && c == {2, 1} && ((b)||a == {1})"), form);
        assert_eq!(expression("(((a == 1 || b) && c == {1, 2}) && x)"), "(a==1 || b) && c=={1,2} && x");
        assert_eq!(expression("inport == \"a  && b\""), "inport==\"a  && b\"");
    }

    #[test]
    fn what_is_said_stays() {
        assert_ne!(expression("a && (b || c)"), expression("(a && b) || c"));
        assert_ne!(expression("ip4.src == 10.0.0.1"), expression("ip4.dst == 10.0.0.1"));
        assert_eq!(actions("icmp4 {a = 1; /* why */ next; };"), "icmp4{a=1;next;};");
        assert_eq!(actions("a = lookup(x,  y); push q"), "a=lookup(x,y);push q");
    }
}
