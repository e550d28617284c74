//! The charge point, as its panel and its calls reach it: a cloneable handle that hides the owner's queue.

use crate::{
    central_client::Central,
    owner::{Applied, Engine, Outlet, Reply},
    seal::Seal,
};
use domain::{
    ChargePointId, Name,
    refusals::List,
    supply::{Act, Happened, Input, Obstacle, Refusal, View},
};
use mesh::{
    group_commit::{Order, Queue, Refused},
    grpc::{Actor, Failure, RETRY_AFTER},
};
use tokio::sync::{oneshot, watch};

/// A charge point: what a person does there, and what its screen shows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Point {
    charge_point: ChargePointId,
    /// Whose identity this engine has, if not its own: then its monitor has that one, too.
    gateway: Option<Name>,
    pub(crate) inputs: Queue<Engine, Outlet>,
    view: watch::Receiver<View>,
    pub(crate) central: Central,
    pub(crate) seal: Seal,
}

impl Point {
    pub(crate) fn new(
        (charge_point, gateway): (ChargePointId, Option<Name>),
        inputs: Queue<Engine, Outlet>,
        view: watch::Receiver<View>,
        central: Central,
        seal: Seal,
    ) -> Self {
        Self { charge_point, gateway, inputs, view, central, seal }
    }

    pub fn charge_point(&self) -> &ChargePointId {
        &self.charge_point
    }

    /// May whoever acts name this charge point? Of those that stand there, whoever has the identity that this engine
    /// runs under, or its monitor's.
    pub(crate) fn is_named_by(&self, actor: &Actor) -> Result<(), Failure> {
        actor.acts_for_charge_point(&self.charge_point, self.gateway.as_ref())
    }

    /// The engine after each change and each reading.
    pub fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Somebody does this at the charge point: the engine after it, with every answer already given.
    pub async fn act(&self, act: Act) -> Result<View, Failure> {
        let Reply { answer, view } = self.ask(act).await?;
        answer.map(|()| view).map_err(|refusal| refused(&refusal))
    }

    /// Asks, and waits until what is answered is on disk.
    pub(crate) async fn ask<I: Input>(&self, input: I) -> Result<Reply<I::Answer>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.give(Engine::input(input, Some(reply)))?;
        answer.await.map_err(|_| stopping())
    }

    /// Those of these certificates that are refused when this returns, and after a restart.
    pub(crate) async fn refuse(&self, told: List) -> Result<List, Failure> {
        let (reply, answer) = oneshot::channel();
        self.give(Engine::refuse(told, reply))?;
        answer.await.map(|reply| reply.answer).map_err(|_| stopping())
    }

    fn give(&self, input: Applied) -> Result<(), Failure> {
        self.inputs.try_give(Order::input(input)).map_err(|refused| match refused {
            Refused::Full => {
                Failure::exhausted("OVERLOADED", "the charge point has too much to do", RETRY_AFTER)
            }
            Refused::Stopped => stopping(),
        })
    }

    /// Tells, and waits for nothing but a place in the queue. Without an owner there is nothing left to tell.
    pub(crate) async fn tell(&self, happened: Happened) {
        self.inputs.give(Order::input(Engine::input(happened, None))).await;
    }
}

fn stopping() -> Failure {
    Failure::unavailable("SHUTTING_DOWN", "the charge point is stopping", RETRY_AFTER)
}

fn refused(refusal: &Refusal) -> Failure {
    let message = refusal.to_string();
    match refusal {
        Refusal::AlreadyPluggedIn => Failure::precondition("ALREADY_PLUGGED_IN", message),
        Refusal::Busy(_) => Failure::precondition("CHARGE_POINT_BUSY", message),
        Refusal::Asking(_) => Failure::exhausted("OVERLOADED", message, RETRY_AFTER),
        Refusal::Obstacle(Obstacle::Unattended) => Failure::precondition("UNATTENDED", message),
        Refusal::Obstacle(Obstacle::Broken(_) | Obstacle::Unsettled(_)) => {
            Failure::precondition("CHARGE_POINT_FAULTED", message)
        }
    }
}
