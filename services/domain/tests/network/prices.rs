//! What a kWh may cost: for a driver who says so, and in a network whose operator does.

use crate::world::{World, cp, driver, sid};
use domain::{
    Location, Price,
    network::{Asked, Command, Config, Order, Reason, Registration, Reply, Session, Target, Token},
};

fn any() -> Target {
    Target::Any { location_prefix: Location::default() }
}

impl World {
    fn asks_below(&mut self, who: &str, target: Target, most: &str) -> Token<Box<Session>> {
        let asked: Asked<Box<Session>> = self.asked();
        let token = asked.token;
        let (session, max_price) = (sid(&format!("s{}", token.number)), Some(most.parse().unwrap()));
        self.send(Command::RequestCharge { asked, session, driver: driver(who), target, max_price });
        token
    }

    fn costs(&mut self, id: &str, price: &str) -> Token<domain::network::Ordered> {
        self.order(Order::SetPrice { charge_point: cp(id), price: price.parse().unwrap() })
    }
}

#[test]
fn a_driver_pays_no_more_a_kwh_than_it_said() {
    let mut world = World::with_points(&["A", "B"]);
    world.costs("A", "9 EUR");
    world.costs("B", "0.60 EUR");
    for (target, most, asked) in [
        (Target::Named(cp("A")), "0.60 EUR", None),
        (Target::Named(cp("B")), "0.59 EUR", None),
        (any(), "0.59 EUR", None),
        (any(), "700 JPY", None), // nobody knows what that is worth
        (any(), "0.60 EUR", Some("B")),
        (any(), "1 EUR", None), // B is taken, and A too dear
        (any(), "9 EUR", Some("A")),
        (any(), "9 EUR", Some("nobody")),
    ] {
        let who = format!("d-{most}-{asked:?}").replace(|c: char| !c.is_alphanumeric(), "");
        let token = world.asks_below(&who, target, most);
        match asked {
            None => assert_eq!(world.denial(token), Reason::PriceAboveMax, "{most}"),
            Some("nobody") => assert_eq!(world.denial(token), Reason::NoChargePointFree),
            Some(id) => assert!(world.calls.contains_key(&cp(id)), "{most}: {:?}", world.calls),
        }
    }
}

#[test]
fn where_all_are_too_dear_the_denial_names_the_price_of_the_first() {
    let mut world = World::with_points(&["A", "B", "C"]);
    for (id, price) in [("A", "0.90 EUR"), ("B", "0.50 EUR"), ("C", "0.60 EUR")] {
        world.costs(id, price);
    }
    let token = world.asks_below("d", any(), "0.40 EUR");
    match &world.replies[&token.number] {
        Reply::Session(_, Err(denial)) => assert!(denial.text.contains("0.50 EUR"), "{denial:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operators_highest_price_holds_for_registrations_prices_and_charges() {
    let most: Vec<Price> = ["0.80 EUR", "90 JPY"].map(|most| most.parse().unwrap()).to_vec();
    let mut world = World::with_points(&["DEAR", "FAIR"]); // registered before there was a bound
    world.costs("DEAR", "10000000 EUR");
    world.config = Config { max_prices: most, ..world.config.clone() };
    world.restart();
    for id in ["DEAR", "FAIR"] {
        world.connect(id);
    }
    for price in ["0.81 EUR", "0.10 USD"] {
        let registration = Registration { price: price.parse().unwrap(), ..World::registration("NEW") };
        assert_eq!(world.register(registration).unwrap_err().reason, Reason::PriceAboveMax);
        let refused = world.costs("FAIR", price);
        assert_eq!(world.denial(refused), Reason::PriceAboveMax);
    }
    let named = world.request("d", Target::Named(cp("DEAR"))).0;
    assert_eq!(world.denial(named), Reason::PriceAboveMax);
    world.reserved("d", "FAIR");
    let anywhere = world.request("e", any()).0;
    assert_eq!(world.denial(anywhere), Reason::PriceAboveMax);
    let set = world.costs("DEAR", "90 JPY");
    assert_eq!(world.granted(set), Some(true));
    world.reserved("e", "DEAR");
}
