use super::*;
use crate::{convert::hex, store::MemoryStore};
use evmesh_proto::topics::{AuditAnchor, AuditAnchorType};

const PREFIX: &[u8] = b"audit/";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(seconds: u64) -> Now {
    let passed = Duration::from_secs(seconds);
    Now { mono: Mono::default() + passed, wall: Wall(1_700_000_000_000) + passed }
}

fn deed(method: &str, came: Came) -> Deed {
    Deed { actor: "operator/ana".into(), method: method.into(), came, ..Deed::default() }
}

/// A chain, and the disk that it is on.
struct Kept {
    chain: Chain,
    disk: MemoryStore,
}

impl Kept {
    fn new() -> Self {
        Self { chain: Chain::restore(PREFIX, None, DAY), disk: MemoryStore::new() }
    }

    fn commit(&mut self, change: impl FnOnce(&mut Chain, &MemoryStore, &mut Batch)) {
        let mut batch = Batch::default();
        change(&mut self.chain, &self.disk, &mut batch);
        self.disk.commit(batch).unwrap();
    }

    fn write(&mut self, now: Now, came: Came) {
        self.commit(|chain, _, batch| chain.write(deed("SetPrice", came), now, batch));
    }

    fn rows(&self) -> Vec<(u64, Vec<u8>)> {
        let rows = self.disk.range(PREFIX, PREFIX, usize::MAX).unwrap();
        rows.into_iter().map(|(key, record)| (number(PREFIX, &key).unwrap(), record)).collect()
    }

    fn entries(&self) -> Vec<StoredAuditEntry> {
        let read = |(_, record): (u64, Vec<u8>)| StoredAuditEntry::decode(record.as_slice()).unwrap();
        self.rows().into_iter().map(read).collect()
    }

    fn anchor(&self) -> AuditAnchor {
        let (number, newest) = self.chain.newest();
        AuditAnchor {
            kind: AuditAnchorType::Anchor,
            store_id: "here".into(),
            number,
            hash: hex(newest),
            timestamp: 0.0,
        }
    }

    fn verify(&self, rows: &[(u64, Vec<u8>)], anchors: &[AuditAnchor]) -> Result<Fits, Misfit> {
        let ends = &self.chain.ends;
        let mut verifier = Verifier::new(ends.first, ends.before_first.clone(), "here", anchors)?;
        rows.iter().try_for_each(|(number, record)| verifier.take(*number, record))?;
        verifier.end(ends.newest, &ends.newest_hash)
    }
}

#[test]
fn what_was_changed_left_out_or_put_in_is_found() {
    let mut kept = Kept::new();
    for second in 0..5 {
        kept.write(at(second), Came::Done("count=1".into()));
    }
    let anchor = kept.anchor();
    kept.write(at(5), Came::Begun);
    let rows = kept.rows();
    let fits = Fits { first: 1, newest: 6, anchors: 1 };
    assert_eq!(kept.verify(&rows, std::slice::from_ref(&anchor)), Ok(fits));

    let changed = |number: u64, change: fn(&mut StoredAuditEntry)| {
        let mut rows = rows.clone();
        let record = &mut rows[number as usize - 1].1;
        let mut entry = StoredAuditEntry::decode(record.as_slice()).unwrap();
        change(&mut entry);
        *record = entry.encode_to_vec();
        kept.verify(&rows, &[])
    };
    assert_eq!(changed(3, |entry| entry.actor = "operator/eve".into()), Err(Misfit::Changed(4)));
    assert_eq!(changed(6, |entry| entry.actor.clear()), Err(Misfit::Changed(6)), "the newest one");
    assert_eq!(changed(2, |entry| entry.number = 3), Err(Misfit::OtherNumber(2, 3)));
    for number in 1..=6 {
        let mut rows = rows.clone();
        rows.remove(number - 1);
        assert_eq!(kept.verify(&rows, &[]), Err(Misfit::Missing(number as u64)));
    }
    let mut more = rows.clone();
    more.insert(3, rows[2].clone());
    assert_eq!(kept.verify(&more, &[]), Err(Misfit::Missing(4)));
    let mut damaged = rows.clone();
    damaged[3].1 = b"\xff".to_vec();
    assert_eq!(kept.verify(&damaged, &[]), Err(Misfit::Unreadable(4)));
}

/// Whoever owns the disk writes all of it anew, hashes too: only what was published elsewhere shows it.
#[test]
fn a_chain_that_was_written_anew_does_not_fit_what_was_published() {
    let mut kept = Kept::new();
    kept.write(at(0), Came::Done(String::new()));
    kept.write(at(1), Came::Done(String::new()));
    let anchor = kept.anchor();
    let mut anew = Kept::new();
    anew.write(at(0), Came::Done("count=2".into()));
    anew.write(at(1), Came::Done(String::new()));
    anew.write(at(2), Came::Done(String::new()));
    let rows = anew.rows();
    assert!(anew.verify(&rows, &[]).is_ok());
    assert_eq!(anew.verify(&rows, std::slice::from_ref(&anchor)), Err(Misfit::NotAsPublished(2)));
    let others = AuditAnchor { store_id: "elsewhere".into(), ..anchor.clone() };
    assert_eq!(anew.verify(&rows, &[others]).unwrap().anchors, 0, "another store's says nothing");

    let mut shorter = Kept::new();
    shorter.write(at(0), Came::Done(String::new()));
    let rows = shorter.rows();
    assert_eq!(shorter.verify(&rows, &[anchor]), Err(Misfit::Missing(2)), "the end was cut off");
}

#[test]
fn a_hundred_refusals_a_minute_have_a_row_and_the_rest_a_count() {
    let mut kept = Kept::new();
    for n in 0..250 {
        kept.write(at(10 + n / 100), Came::Denied("NOT_YOURS".into()));
    }
    kept.write(at(20), Came::Failed("ENGINE_SILENT".into())); // it had begun: no refusal
    assert_eq!(kept.rows().len(), 101);
    kept.commit(|chain, _, batch| chain.minute_is_over(at(69).mono, batch));
    assert_eq!(kept.rows().len(), 101);
    kept.commit(|chain, _, batch| chain.minute_is_over(at(70).mono, batch));
    let last = kept.entries().pop().unwrap();
    assert_eq!((last.refusal_count, last.at_ms), (150, at(12).wall.0));
    kept.write(at(71), Came::Denied("NOT_YOURS".into()));
    assert_eq!(kept.entries().pop().unwrap().result, "NOT_YOURS", "another minute");
    kept.commit(|chain, _, batch| {
        chain.counts(7, at(72).wall);
        chain.write_count(batch); // central stops
    });
    assert_eq!(kept.entries().pop().unwrap().refusal_count, 7);
    assert!(kept.verify(&kept.rows(), &[]).is_ok());
}

#[test]
fn strangers_take_no_row_from_those_who_are_known() {
    let mut kept = Kept::new();
    for _ in 0..150 {
        let stranger = Deed { actor: String::new(), ..deed("connect", Came::Denied("MISNAMED".into())) };
        kept.commit(|chain, _, batch| chain.write(stranger, at(10), batch));
    }
    kept.write(at(11), Came::Denied("IDENTITY_REVOKED".into()));
    assert_eq!((kept.rows().len(), kept.entries()[100].result.as_str()), (101, "IDENTITY_REVOKED"));
}

/// A driver who asks again and again at a charge point that refuses.
#[test]
fn a_hundred_that_had_begun_and_failed_have_their_rows_and_of_the_rest_what_is_done_has_one() {
    let mut kept = Kept::new();
    for n in 0..150 {
        kept.write(at(10 + n / 100), Came::Begun);
        kept.write(at(10 + n / 100), Came::Failed("ENGINE_REFUSED".into()));
    }
    assert_eq!(kept.rows().len(), 200, "a hundred, two rows each");
    kept.write(at(12), Came::Begun);
    kept.write(at(13), Came::Done("session=s1".into()));
    kept.write(at(13), Came::Denied("NOT_YOURS".into()));
    let results: Vec<_> = kept.entries().into_iter().skip(200).map(|entry| entry.result).collect();
    assert_eq!(results, ["done", "NOT_YOURS"], "a change, and what was denied, have theirs all the same");
    kept.commit(|chain, _, batch| chain.minute_is_over(at(70).mono, batch));
    assert_eq!(kept.entries().pop().unwrap().refusal_count, 50);
    kept.write(at(71), Came::Begun);
    assert_eq!(kept.entries().pop().unwrap().result, "begun", "another minute");
    assert!(kept.verify(&kept.rows(), &[]).is_ok());
}

#[test]
fn what_is_too_old_goes_in_bites_and_the_chain_still_holds() {
    let mut kept = Kept::new();
    let old = AT_ONCE as u64 + 10;
    for _ in 0..old {
        kept.write(at(0), Came::Done(String::new()));
    }
    for _ in 0..3 {
        kept.write(at(3600), Came::Done(String::new()));
    }
    let all = old + 3;
    let anchor = kept.anchor();
    for (second, first) in
        [(DAY.as_secs() - 1, 1), (DAY.as_secs(), AT_ONCE as u64 + 1), (DAY.as_secs() + 1, old + 1)]
    {
        kept.commit(|chain, disk, batch| chain.drop_old(at(second).wall, disk, batch).unwrap());
        let fits = kept.verify(&kept.rows(), std::slice::from_ref(&anchor));
        assert_eq!(fits, Ok(Fits { first, newest: all, anchors: 1 }), "second {second}");
    }
    let read = kept.disk.rows_read();
    kept.commit(|chain, disk, batch| chain.drop_old(at(DAY.as_secs() + 2).wall, disk, batch).unwrap());
    assert_eq!(kept.disk.rows_read(), read, "nothing is looked up where nothing is due");

    let mut cut = kept.rows();
    cut.remove(0);
    assert_eq!(kept.verify(&cut, &[]), Err(Misfit::Missing(old + 1)), "what was taken too early");
    let another_start = Chain::restore(PREFIX, kept.chain.news().as_ref(), DAY);
    assert_eq!(another_start.newest(), kept.chain.newest());
    kept.chain = another_start;
    kept.commit(|chain, disk, batch| chain.drop_old(at(2 * DAY.as_secs()).wall, disk, batch).unwrap());
    assert!(kept.rows().is_empty());
    kept.write(at(2 * DAY.as_secs()), Came::Begun);
    let fits = kept.verify(&kept.rows(), &[anchor]);
    assert_eq!(
        fits,
        Ok(Fits { first: all + 1, newest: all + 1, anchors: 1 }),
        "it is the first one's predecessor"
    );
}
