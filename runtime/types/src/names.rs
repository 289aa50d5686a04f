//! The names of functions: in which language they are written, and which of them look alike.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How many similar names are told at most.
const TOLD: usize = 3;

/// Whether a function's name is one of Python's, `module:function`; the parts of a name in Rust are joined by `::` alone.
#[must_use]
pub fn is_python(function: &str) -> bool {
    function.split_once(':').is_some_and(|(_, rest)| !rest.starts_with(':'))
}

/// At most three of the known names that look like this one, the nearest first.
#[must_use]
pub fn similar_names<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let function = last_segment(name);
    let near = |known: &'a str| {
        let distance = edit_distance(function, last_segment(known));
        (distance <= 1 + function.len() / 4).then(|| (distance, edit_distance(name, known), known))
    };
    let mut similar: Vec<_> = known.into_iter().filter_map(near).collect();
    similar.sort_unstable();
    similar.into_iter().map(|(_, _, known)| known).take(TOLD).collect()
}

/// The question whether one of these names was meant, with a blank behind it; nothing if there are none.
#[must_use]
pub fn did_you_mean(similar: &[&str]) -> String {
    if similar.is_empty() { String::new() } else { format!("did you mean `{}`? ", similar.join("` or `")) }
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// How many bytes must be changed, added or removed to make one of the other.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["app::count_words", "app::count_lines", "app::text::count_words", "app::merge"];

    #[test]
    fn a_misspelt_or_moved_function_is_answered_with_the_nearest_names() {
        assert_eq!(similar_names("app::count_word", KNOWN), ["app::count_words", "app::text::count_words"]);
        assert_eq!(similar_names("old::merge", KNOWN), ["app::merge"]);
        assert!(similar_names("app::train", KNOWN).is_empty());
    }

    #[test]
    fn the_question_names_all_that_were_found() {
        assert_eq!(did_you_mean(&["a", "b"]), "did you mean `a` or `b`? ");
        assert_eq!(did_you_mean(&[]), "");
    }

    #[test]
    fn the_languages_are_told_apart_by_their_names() {
        let python = ["words:count", "__main__:<lambda>", "a.b:C.method"];
        let rust = ["app::count", "count", "app::text::count"];
        assert!(python.iter().all(|name| is_python(name)));
        assert!(!rust.iter().any(|name| is_python(name)));
    }
}
