use super::*;

#[test]
fn a_connection_has_its_share_and_more_but_not_the_last_places() {
    let account = Account::default();
    let enter = |free| account.enter(free, 1024);
    let held: Vec<_> = (0..64).map(|_| enter(0).unwrap()).collect();
    assert!(enter(16).is_none(), "its sixteenth is under way, and others may come");
    assert!(enter(17).is_some(), "there are more places than those");
    drop(held);
    assert!(enter(0).is_some());
    assert!(Account::default().enter(0, 2).is_some(), "everybody may have one");
}

#[test]
fn at_the_bound_for_all_the_one_that_holds_most_is_closed() {
    let connections = Connections::new(100, Told::default());
    let (most, less) = (connections.account(None), connections.account(None));
    let (_most, _less) = (most.charge(UNTAKEN_BY_ALL / 2 + 1), less.charge(UNTAKEN_BY_ALL / 2 - 1));
    assert!(!most.0.closed.is_cancelled());
    let _one_more = less.charge(1);
    assert!(most.0.closed.is_cancelled() && !less.0.closed.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn of_too_many_the_one_longest_without_a_call_goes() {
    let connections = Connections::new(2, Told::default());
    let (first, second) = (connections.account(None), connections.account(None));
    tokio::time::advance(Duration::from_secs(1)).await;
    first.called();
    tokio::time::advance(Duration::from_secs(1)).await;
    let closed = |account: &Account| account.0.closed.is_cancelled();
    let third = connections.account(None);
    assert_eq!([closed(&first), closed(&second), closed(&third)], [false, true, false]);
    drop(second);
    third.called();
    tokio::time::advance(Duration::from_secs(1)).await;
    let _fourth = connections.account(None);
    assert_eq!([closed(&first), closed(&third)], [true, false], "their calls count, not their age");
}

#[tokio::test(start_paused = true)]
async fn who_never_called_goes_first_and_who_has_a_stream_open_last() {
    let connections = Connections::new(3, Told::default());
    let mut all: Vec<_> = (0..3).map(|_| connections.account(None)).collect();
    let [monitor, idle, _silent] = &all[..] else { panic!() };
    monitor.called();
    let stream = monitor.streams();
    tokio::time::advance(Duration::from_secs(1)).await;
    idle.called();
    let closed = |all: &[Account]| all.iter().map(|one| one.0.closed.is_cancelled()).collect::<Vec<_>>();
    all.push(connections.account(None));
    assert_eq!(closed(&all), [false, false, true, false], "the silent one");
    tokio::time::advance(Duration::from_secs(1)).await;
    all[3].called();
    all.push(connections.account(None));
    assert_eq!(closed(&all), [false, true, true, false, false], "the one without a stream");
    drop(stream);
    let call = all[0].enter(9, 9);
    tokio::time::advance(Duration::from_secs(1)).await;
    all[4].called();
    tokio::time::advance(Duration::from_secs(1)).await;
    all.push(connections.account(None));
    let newest = |all: &[Account]| closed(all)[3..].to_vec();
    assert_eq!((closed(&all)[0], newest(&all)), (false, vec![true, false, false]), "it has a call under way");
    drop(call);
    all[5].called();
    all.push(connections.account(None));
    assert_eq!((closed(&all)[0], newest(&all)), (true, vec![true, false, false, false]), "as any other");
}

#[test]
fn what_was_taken_counts_no_more() {
    let connections = Connections::new(100, Told::default());
    let account = connections.account(None);
    let (untaken, cx) = (account.charge(UNTAKEN_STREAMS), Context::from_waker(Waker::noop()));
    assert!(account.takes_nothing() && account.poll_room(&cx).is_pending());
    drop(untaken);
    assert!(!account.takes_nothing() && account.poll_room(&cx).is_ready());
    assert_eq!(connections.0.untaken.load(Relaxed), 0);
    drop(account);
    assert!(lock(&connections.0.open).is_empty());
}
