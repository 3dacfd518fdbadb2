use super::*;
use crate::raw_log::Redb;
use std::collections::HashMap;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        drop(Redb::create(&place.log()).unwrap());
        place
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log.redb")
    }

    fn open(&self) -> Journaled<Redb> {
        self.reopen().unwrap()
    }

    fn reopen(&self) -> io::Result<Journaled<Redb>> {
        Journaled::open(Redb::open(&self.log())?, path_of(&self.log()))
    }

    fn contents(&self) -> Contents {
        self.open().load().unwrap()
    }

    fn journal(&self) -> Vec<u8> {
        fs::read(path_of(&self.log())).unwrap()
    }

    fn write_journal(&self, bytes: &[u8]) {
        fs::write(path_of(&self.log()), bytes).unwrap();
    }
}

fn put(log: &mut impl RawLog, index: u64, size: usize) {
    log.write(&[(index, vec![index as u8; size])]).unwrap();
    log.meta("end", &index.to_le_bytes()).unwrap();
    log.sync().unwrap();
}

fn expected(indexes: impl IntoIterator<Item = u64>, last: u64, size: usize) -> Contents {
    let records = indexes.into_iter().map(|i| (i, vec![i as u8; size]));
    let end = ("end".to_owned(), last.to_le_bytes().to_vec());
    (records.collect(), HashMap::from([end]))
}

#[test]
fn the_bytes_of_a_batch_are_number_length_sum_and_writes() {
    let ops = [
        Op::Put(7, b"ab".to_vec()),
        Op::Remove(1, 2),
        Op::Meta("x".to_owned(), b"y".to_vec()),
    ];
    let batch = encode(258, &ops);
    assert_eq!(&batch[..12], b"\x02\x01\0\0\0\0\0\0\x2b\0\0\0");
    assert_eq!(
        &batch[20..],
        b"\0\x07\0\0\0\0\0\0\0\x02\0\0\0ab\
          \x01\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\
          \x02\x01\0\0\0x\x01\0\0\0y"
    );
    let (payload, next) = read_batch(&batch, 0, 258).unwrap();
    assert_eq!(next, batch.len());
    assert_eq!(decode(payload).unwrap(), ops);
}

#[test]
fn what_was_synced_is_found_without_the_engine_having_it() {
    let place = Place::new();
    let mut log = place.open();
    for index in 1..=3 {
        put(&mut log, index, 10);
    }
    log.del(1, 2).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(Redb::open(&place.log()).unwrap().load().unwrap().0, vec![]);
    assert_eq!(place.contents(), expected([3], 3, 10));
}

#[test]
fn what_was_not_synced_is_gone_as_a_whole() {
    let place = Place::new();
    let mut log = place.open();
    put(&mut log, 1, 10);
    log.write(&[(2, vec![2; 10])]).unwrap();
    log.meta("end", &[9]).unwrap();
    drop(log);
    assert_eq!(place.contents(), expected([1], 1, 10));
}

#[test]
fn a_full_journal_begins_again_and_nothing_is_lost_wherever_it_is_opened() {
    let place = Place::new();
    let size = SIZE / 5;
    for index in 1..=23 {
        put(&mut place.open(), index, size);
        assert_eq!(place.contents(), expected(1..=index, index, size));
    }
}

#[test]
fn a_batch_larger_than_the_journal_goes_straight_to_the_engine() {
    let place = Place::new();
    let mut log = place.open();
    put(&mut log, 1, 10);
    log.write(&[(2, vec![2; 2 * SIZE])]).unwrap();
    log.sync().unwrap();
    log.write(&[(3, vec![3; 10])]).unwrap();
    log.sync().unwrap();
    drop(log);
    let (records, _) = place.contents();
    let sizes: Vec<_> = records.iter().map(|(i, b)| (*i, b.len())).collect();
    assert_eq!(sizes, [(1, 10), (2, 2 * SIZE), (3, 10)]);
}

#[test]
fn a_torn_batch_ends_the_log_before_it_and_is_written_over() {
    let place = Place::new();
    let mut log = place.open();
    put(&mut log, 1, 10);
    let before = place.journal();
    put(&mut log, 2, 3000);
    let after = place.journal();
    let end = log.at;
    drop(log);
    let start = before.iter().zip(&after).position(|(a, b)| a != b).unwrap();
    for cut in [start, start + 1, start + HEAD, end - 1] {
        let mut torn = after.clone();
        torn[cut..end].fill(0xff);
        place.write_journal(&torn);
        assert_eq!(place.contents(), expected([1], 1, 10), "cut at {cut}");
    }
    put(&mut place.open(), 2, 10);
    assert_eq!(place.contents(), expected([1, 2], 2, 10));
}

#[test]
fn a_flipped_byte_never_brings_up_what_was_not_written() {
    let place = Place::new();
    let mut log = place.open();
    put(&mut log, 1, 10);
    put(&mut log, 2, 10);
    let end = log.at;
    drop(log);
    let good = place.journal();
    for at in (0..end).chain([end, SIZE - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        place.write_journal(&bad);
        let Ok(mut log) = place.reopen() else {
            assert_eq!(at, 0, "refused for byte {at}");
            continue;
        };
        let found = log.load().unwrap();
        let whole = [(vec![], 0), (vec![1], 1), (vec![1, 2], 2)];
        let is_prefix = whole.into_iter().any(|(indexes, last)| {
            let wanted = expected(indexes, last, 10);
            found.0 == wanted.0 && (found.0.is_empty() || found.1 == wanted.1)
        });
        assert!(is_prefix, "byte {at}: {found:?}");
    }
}

#[test]
fn a_journal_of_another_size_or_version_is_refused_and_left_alone() {
    let place = Place::new();
    put(&mut place.open(), 1, 10);
    let good = place.journal();
    let mut newer = good.clone();
    newer[0] = VERSION + 1;
    for bad in [newer, good[..SIZE - 1].to_vec(), Vec::new()] {
        place.write_journal(&bad);
        let error = place.reopen().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(place.journal(), bad);
    }
}
