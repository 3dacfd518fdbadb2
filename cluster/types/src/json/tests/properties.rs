//! What holds for any value and any text.

use super::*;
use proptest::prelude::*;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_as_the_same_value(value in any_value()) {
        let text = serde_json::to_vec(&value).unwrap();
        // Its own reader may be one bit off in a float; ours is the standard library's.
        let found: Value = from_slice(&text).unwrap().value;
        prop_assert_eq!(&found, &value);
    }

    #[test]
    fn what_is_written_here_is_read_back(
        name in any::<String>(), delay in any::<i64>(), ratio in -1e30f32..1e30,
        port in any::<u32>(),
        pairs in prop::collection::vec(prop::collection::vec(any::<String>(), 0..3), 0..3),
        labels in prop::collection::btree_map(any::<String>(), any::<String>(), 0..4),
    ) {
        let spec = Spec { name, delay, ratio, port, pairs, labels, ..Spec::default() };
        let found: Decoded<Spec> = from_slice(&to_vec(&spec)).unwrap();
        prop_assert_eq!(found, Decoded { value: spec, unknown: vec![] });
    }

    #[test]
    fn a_text_is_json_here_exactly_if_it_is_for_serde_json(
        text in r#"[\[\]{}",:0-9.eE+\-a\\/nultrfs ]{0,12}"#,
    ) {
        let theirs = serde_json::from_str::<de::IgnoredAny>(&text).is_ok();
        // Not `from_slice`: like dockerd it does not see closing brackets behind the value.
        let mut parser = Parser::new(text.as_bytes());
        let ours = parser.document().is_ok() && parser.peek_past_space().is_none();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let _ = from_slice::<Spec>(&bytes);
    }
}
