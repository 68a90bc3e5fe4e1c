//! Examples of documents, as files that are read by people: `1> line` asks the first node, and `< answer` is what
//! it says. Lines that begin with `#` are remarks.

use serde_json::Value;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// Where it stands in its file.
    pub line: usize,
    /// Which node is asked, counted from 0.
    pub node: usize,
    /// What it is asked.
    pub asked: &'a str,
    /// What it says.
    pub answer: &'a str,
}

/// The examples of a file.
pub fn examples(text: &str) -> Vec<Example<'_>> {
    let mut question = None;
    let mut examples = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        if let Some(answer) = text.strip_prefix("< ") {
            let (line, node, asked) = question.take().expect("an answer stands behind a question");
            examples.push(Example { line, node, asked, answer });
        } else if let Some((node, asked)) = text.split_once("> ") {
            let node: usize = node.parse().expect("a question stands behind the number of a node");
            question = Some((number, node - 1, asked));
        } else {
            assert!(text.is_empty() || text.starts_with('#'), "line {number}: {text}");
        }
    }
    assert!(question.is_none(), "the last question has no answer");
    examples
}

/// Whether an answer is the expected one, field for field; `"*"` stands for any value.
pub fn matches(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (_, Value::String(any)) if any == "*" => true,
        (Value::Object(answer), Value::Object(expected)) => {
            let same = |(name, value): (&String, &Value)| {
                answer.get(name).is_some_and(|answer| matches(answer, value))
            };
            answer.len() == expected.len() && expected.iter().all(same)
        }
        _ => answer == expected,
    }
}
