//! What is asked of a registry that runs.

use crate::{
    exit::{Because as _, Failure},
    json,
    output::{self, Output},
    remote::{Remote, security},
    renewal,
};
use evmesh_proto::registry::{
    CreateEnrolmentTokenRequest, EnrolRequest, Identity, ListIdentitiesRequest, RevokeIdentityRequest,
    registry_service_client::RegistryServiceClient,
};
use identity::{EnrolmentToken, Pin, Role};
use mesh::{
    convert::MAX_PAGE_SIZE,
    flags,
    grpc::{Address, Peer, Peers, SecurityOptions},
};
use registry::Applicant;
use std::{
    io::{self, BufRead as _, Read as _},
    path::PathBuf,
};

/// Where the registry is.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    /// The registry: HOST:PORT.
    #[arg(long, value_name = "ADDR", env = "EVMESH_REGISTRY", default_value = flags::REGISTRY)]
    registry: Address,

    #[command(flatten)]
    security: SecurityOptions,
}

impl At {
    pub(super) fn remote(&self) -> Result<Remote, Failure> {
        Ok(Remote::registry(&self.registry, &Peers::new(security(&self.security)?)))
    }
}

/// Sentences, or JSON.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// Sentences for people, or one JSON document for scripts.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct Token {
    /// Whom it is for: charge-point/ID/engine, charge-point/ID/monitor, gateway/NAME, bridge/NAME, viewer/NAME,
    /// operator/NAME, admin/NAME or driver/ID.
    #[arg(value_name = "ROLE")]
    role: Role,

    /// Where that is found if it is a server, a DNS name or an IP address, beside the loopback; may be repeated.
    #[arg(long = "host", value_name = "NAME_OR_IP")]
    hosts: Vec<String>,

    #[command(flatten)]
    at: At,

    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    at: At,

    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// Who it is, such as charge-point/ID/engine.
    #[arg(value_name = "ROLE")]
    role: Role,

    /// Cuts a charge point off at once, in mid-supply too: its ticket may be estimated then. Also for one that was
    /// revoked without it a moment ago.
    #[arg(long)]
    now: bool,

    #[command(flatten)]
    at: At,
}

#[derive(Debug, clap::Args)]
pub(super) struct Renew {
    #[command(flatten)]
    at: At,
}

/// Gets an identity from the registry, for a token.
#[derive(Debug, clap::Args)]
pub(crate) struct Enrol {
    /// The token, one word, or '-' to read it from standard input. It is a secret: whoever has it first is who it
    /// names, and others see the words of a command.
    #[arg(value_name = "TOKEN", env = "EVMESH_ENROL_TOKEN")]
    token: String, // not as a token here: what is wrong with an argument is shown with the argument

    /// The folder of the identity: it is made, or has to be nobody's yet.
    #[arg(long, value_name = "DIR", env = "EVMESH_IDENTITY")]
    identity: PathBuf,
}

/// A token has some 500 at most.
const MAX_TOKEN_BYTES: u64 = 4096;

pub(super) fn client(remote: &Remote) -> RegistryServiceClient<Peer> {
    RegistryServiceClient::new(remote.peer.clone())
}

/// Prints the token alone, for a pipe.
pub(super) async fn token(Token { role, hosts, at, how }: Token) -> Result<(), Failure> {
    let remote = at.remote()?;
    let request = CreateEnrolmentTokenRequest { role: role.to_string(), hosts };
    let made = remote.waited(client(&remote).create_enrolment_token(request)).await;
    let made = remote.answer(made)?;
    match how.output {
        Output::Text => output::line(&made.token),
        Output::Json => output::json(&json::of(&made)),
    }
}

pub(super) async fn list(List { at, how }: List) -> Result<(), Failure> {
    let remote = at.remote()?;
    let page_size = i32::try_from(MAX_PAGE_SIZE).unwrap_or_default();
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = client(&remote).list_identities(ListIdentitiesRequest { page_size, page_token }).await;
        let page = remote.answer(asked)?;
        all.extend(page.identities);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    match how.output {
        Output::Text if all.is_empty() => output::line("Nobody is enrolled."),
        Output::Text => all.iter().try_for_each(|identity| output::line(&sentence(identity))),
        Output::Json => output::json(&all.iter().map(json::of).collect::<Vec<_>>()),
    }
}

fn sentence(identity: &Identity) -> String {
    let newest = identity.certificates.last();
    let until = newest.and_then(|newest| newest.expire_time).unwrap_or_default();
    match newest.and_then(|newest| newest.revoke_time) {
        Some(revoked) => format!("{}  revoked {revoked}", identity.role),
        None => format!("{}  until {until}", identity.role),
    }
}

pub(super) async fn revoke(Revoke { role, now, at }: Revoke) -> Result<(), Failure> {
    let remote = at.remote()?;
    let request = RevokeIdentityRequest { role: role.to_string(), now };
    let revoked = remote.waited(client(&remote).revoke_identity(request)).await;
    match remote.answer(revoked)?.identity {
        Some(identity) => output::line(&format!(
            "{role} is revoked, and has no token; {}",
            comes(&role, identity.revoked_now)
        )),
        None => output::line(&format!("{role} was not enrolled, and has no token any more")),
    }
}

/// What comes of a revocation.
fn comes(role: &Role, at_once: bool) -> &'static str {
    match role {
        Role::Engine(_) | Role::Monitor(_) if !at_once => {
            "central stops what its charge point does, within 30 s, and then refuses it ('--now': at once)"
        }
        Role::Gateway(_) if !at_once => {
            "central stops what its charge points do, within 30 s, and then refuses it ('--now': at once)"
        }
        _ => "central refuses it within 2 s",
    }
}

pub(super) async fn renew(Renew { at }: Renew) -> Result<(), Failure> {
    let folder = at.security.identity.clone();
    let folder = folder.ok_or_else(|| Failure::Usage("say which identity: --identity DIR".to_owned()))?;
    let identity = renewal::renew(&folder, &at.remote()?).await?;
    output::line(&format!("{} is {identity}, renewed", folder.display()))
}

/// `evmesh enrol`.
pub(crate) async fn enrol(Enrol { token, identity: folder }: Enrol) -> Result<(), Failure> {
    let wrong = |problem: String| Failure::Usage(format!("the token {problem}; see 'evmesh enrol --help'"));
    let token = match token.as_str() {
        "-" => {
            let mut line = String::new();
            let read = io::stdin().lock().take(MAX_TOKEN_BYTES).read_line(&mut line);
            read.map_err(|error| Failure::Failed(format!("cannot read the token: {error}")))?;
            line.trim().to_owned()
        }
        word => word.to_owned(),
    };
    let token: EnrolmentToken = token.parse().map_err(|problem| wrong(format!("{problem}")))?;
    let address: Address =
        token.registry.parse().map_err(|problem| wrong(format!("names a registry that {problem}")))?;
    let applicant = Applicant::new(&folder).because()?;
    let pin = Pin { trust_domain: token.trust_domain.clone(), core: token.core };
    let remote = Remote::registry(&address, &Peers::enrolling(pin));
    let certificate_request = applicant.csr_pem().to_owned();
    let request = EnrolRequest { secret: token.secret.0.to_vec(), certificate_request };
    let enrolled = remote.waited(client(&remote).enrol(request)).await;
    let given = remote.answer(enrolled)?.credentials.unwrap_or_default();
    let identity = applicant.keep(&token, given).because()?;
    output::line(&format!("{} is {identity}", folder.display()))
}
