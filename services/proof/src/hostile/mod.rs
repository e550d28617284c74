//! Strangers at work against real processes, beside honest people who must not notice: a scene for each thing that a
//! peer could use up or lie about (`docs/RELIABILITY.md`).
//!
//! `network` is what is attacked, in plain text, and `secured` where everybody has an identity; `liar` is a charge
//! point that is none, `honest` are a driver and an operator who are served within a second all the while and exactly
//! billed, `scenes` are the attacks. Each says what it did, so that an idle one is seen. `crowds` mean no harm, and
//! have a command of their own.

pub(crate) mod crowds;
mod honest;
mod liar;
mod network;
mod scenes;
mod secured;

use crate::process;
use anyhow::Context as _;
use honest::Attacked;
use network::Network;
use scenes::{SCENES, Scene, identities};
use secured::Secured;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::{sync::watch, time::Instant};

/// What strangers do.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One scene only
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(names()))]
    scene: Option<String>,

    /// The executable; the one beside this one by default.
    #[arg(long, value_name = "FILE")]
    evmesh: Option<PathBuf>,
}

fn names() -> impl Iterator<Item = &'static str> {
    SCENES.iter().map(|scene| scene.name).chain(identities::SCENES.iter().map(|scene| scene.name))
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let evmesh = process::executable(options.evmesh.as_deref())?;
    in_a_folder("hostile", async |folder| {
        let only = options.scene.as_deref();
        if plays(&SCENES, only) {
            let network = Network::start(&evmesh, &own(folder, "plain")?, &[]).await?;
            all(&SCENES, only, &network).await?;
        }
        if plays(&identities::SCENES, only) {
            let network = Secured::start(&evmesh, &own(folder, "secured")?).await?;
            all(&identities::SCENES, only, &network).await?;
        }
        Ok(())
    })
}

/// Plays with a folder of its own, for data and logs: it stays where something failed.
fn in_a_folder(name: &str, plays: impl AsyncFnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("evmesh-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let played = runtime.block_on(plays(&folder));
    runtime.shutdown_background();
    match &played {
        Ok(()) => std::fs::remove_dir_all(&folder)?,
        Err(_) => println!("the logs are in {}", folder.display()),
    }
    played.map(|()| ExitCode::SUCCESS)
}

fn own(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

fn plays<N>(scenes: &[Scene<N>], only: Option<&str>) -> bool {
    only.is_none_or(|name| scenes.iter().any(|scene| scene.name == name))
}

/// The one of this name, or all of them.
async fn all<N: Attacked>(scenes: &[Scene<N>], only: Option<&str>, network: &N) -> anyhow::Result<()> {
    if let Some(name) = only {
        return one_after_another(scenes.iter().filter(|scene| scene.name == name), network).await;
    }
    let (slow, others): (Vec<_>, Vec<_>) = scenes.iter().partition(|scene| scene.slow);
    tokio::try_join!(one_after_another(others, network), beside(slow, network)).map(|_| ())
}

async fn one_after_another<'a, N: Attacked + 'a>(
    scenes: impl IntoIterator<Item = &'a Scene<N>>,
    network: &N,
) -> anyhow::Result<()> {
    for scene in scenes {
        play(scene, network).await.with_context(|| scene.name)?;
    }
    Ok(())
}

/// Attacks that mostly wait, beside the others: those have the honest people.
async fn beside<N>(scenes: Vec<&Scene<N>>, network: &N) -> anyhow::Result<()> {
    for scene in scenes {
        let did = (scene.play)(network).await.with_context(|| scene.name)?;
        println!("{:<21} {did}; beside the others", scene.name);
    }
    Ok(())
}

async fn play<N: Attacked>(scene: &Scene<N>, network: &N) -> anyhow::Result<()> {
    beside_honest_people(scene.name, network, scene.charges_at, (scene.play)(network)).await
}

/// One attack, and whoever was there at the time.
async fn beside_honest_people(
    name: &str,
    network: &impl Attacked,
    charges_at: &str,
    attack: impl Future<Output = anyhow::Result<String>>,
) -> anyhow::Result<()> {
    let (began, (end, ended)) = (Instant::now(), watch::channel(false));
    let attack = async {
        let did = attack.await;
        end.send_replace(true);
        did
    };
    let (did, served) = tokio::join!(attack, honest::work(network, charges_at, ended));
    let (did, served) = (did?, served.context("an honest caller noticed")?);
    println!("{name:<21} {did}; meanwhile {served}");
    served.enough(began.elapsed())
}
