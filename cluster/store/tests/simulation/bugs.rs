//! The bugs of `bugs.txt`, which `contrib/simulate.sh --bugs` puts in, still have their places in the sources.

use std::fs;
use std::path::Path;

/// Text as that script compares it: white space does not count.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn each_bug_that_can_be_planted_has_one_place() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(here.join("tests/simulation/bugs.txt")).unwrap();
    let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let blocks = lines.split(|line| line.is_empty());
    let mut bugs = 0;
    for block in blocks.filter(|block| !block.is_empty()) {
        let [words, file, old, _] = block else {
            panic!("not four lines: {block:?}");
        };
        let source = fs::read_to_string(here.join("..").join(file)).unwrap();
        let old = squeezed(old.strip_prefix("- ").unwrap());
        let found = squeezed(&source).matches(&old).count();
        assert_eq!(found, 1, "{words}: {old} in {file}");
        bugs += 1;
    }
    assert!(bugs >= 10, "{bugs} bugs");
}
