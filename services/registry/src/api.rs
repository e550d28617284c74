//! `RegistryService`: what comes in is checked, given to the owner, and what was decided shown.

use crate::{
    audit::{Asked, deed},
    cards::{self, Named, New},
    credentials::Credentials,
    gateways::{self, Gateways, Said},
    owner::{Office, Registry},
    view::shown,
    watching::{Watching, WatchingCards, WatchingGateways},
};
use domain::enrolment::{TOKEN_LIFETIME, TokenHash};
use evmesh_proto::registry::{self as proto, registry_service_server::RegistryService};
use futures_util::{Stream, StreamExt as _, stream};
use identity::{AskersKey, EnrolmentToken, Role, Secret, check_hosts, sha256};
use mesh::{
    convert::{InvalidField, page_size, parse, timestamp},
    grpc::{Actor, Address, Failure},
    store::Batch,
};
use prost::Message as _;
use std::pin::Pin;
use tonic::{Request, Response, Status};

/// A page is shorter where its identities have many hosts and certificates: gRPC takes 4 MiB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct RegistryApi {
    pub(crate) office: Office,
    /// Where others find the registry.
    pub(crate) address: Address,
}

#[tonic::async_trait]
impl RegistryService for RegistryApi {
    type WatchIdentitiesStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchIdentitiesResponse, Status>> + Send>>;

    async fn create_enrolment_token(
        &self,
        request: Request<proto::CreateEnrolmentTokenRequest>,
    ) -> Result<Response<proto::CreateEnrolmentTokenResponse>, Status> {
        let (actor, by) = (Actor::of(&request), by(&request));
        let deed = deed(
            &request,
            "CreateEnrolmentToken",
            request.get_ref().role.clone(),
            hosts_of(request.get_ref()),
        );
        let proto::CreateEnrolmentTokenRequest { role, hosts } = request.into_inner();
        let role = role_of(&role)?;
        if role.is_core() {
            let problem =
                "must not be of the core: those are given out by hand, with 'evmesh registry issue'";
            return Err(InvalidField::new("role", problem).into());
        }
        check_hosts(&role, &hosts)
            .map_err(|wrong| Failure::invalid("hosts", format!("are wrong: {wrong}")))?;
        let secret = Secret::random().map_err(Failure::internal)?;
        let hash = TokenHash(sha256(&secret.0));
        let path = role.to_string();
        let registry = self.address.to_string();
        let made = self.office.does(deed, move |rules, now, batch| {
            rules.stands(&actor)?;
            rules.create_token(now, batch, (hash, path.into(), hosts))?;
            let core =
                rules.core_fingerprint().ok_or_else(|| Failure::internal("no one core certificate"))?;
            let trust_domain = rules.trust_domain().clone();
            let token = EnrolmentToken { trust_domain, registry, core, secret };
            Ok(((token, now.wall + TOKEN_LIFETIME), Some(String::new())))
        });
        let (token, expires) = made.await?;
        tracing::info!(%role, by, "a token was made");
        let expire_time = Some(timestamp(expires));
        Ok(Response::new(proto::CreateEnrolmentTokenResponse { token: token.word(), expire_time }))
    }

    async fn enrol(
        &self,
        request: Request<proto::EnrolRequest>,
    ) -> Result<Response<proto::EnrolResponse>, Status> {
        let deed = deed(&request, "Enrol", String::new(), String::new());
        let proto::EnrolRequest { secret, certificate_request } = request.into_inner();
        let secret = <[u8; 32]>::try_from(secret.as_slice());
        let secret = secret.map_err(|_| InvalidField::new("secret", "must have 32 bytes"))?;
        let asker = asker(&certificate_request)?;
        let given = self.office.certify(deed, Some(TokenHash(sha256(&secret))), asker).await?;
        tell("enrolled", &given);
        Ok(Response::new(proto::EnrolResponse { credentials: Some(credentials(given)) }))
    }

    async fn renew(
        &self,
        request: Request<proto::RenewRequest>,
    ) -> Result<Response<proto::RenewResponse>, Status> {
        let deed = deed(&request, "Renew", String::new(), String::new());
        let asker = asker(&request.into_inner().certificate_request)?;
        let given = self.office.certify(deed, None, asker).await?;
        tell("renewed", &given);
        Ok(Response::new(proto::RenewResponse { credentials: Some(credentials(given)) }))
    }

    async fn revoke_identity(
        &self,
        request: Request<proto::RevokeIdentityRequest>,
    ) -> Result<Response<proto::RevokeIdentityResponse>, Status> {
        let (actor, by) = (Actor::of(&request), by(&request));
        let asked = request.get_ref();
        let deed = deed(&request, "RevokeIdentity", asked.role.clone(), format!("now={}", asked.now));
        let proto::RevokeIdentityRequest { role, now: at_once } = request.into_inner();
        let role = role_of(&role)?;
        let path = role.to_string();
        let revoked = self.office.does(deed, move |rules, now, batch| {
            rules.stands(&actor)?;
            rules.take_in_issued(now, batch);
            let told = rules.revoke(now, batch, &path, at_once)?.then(String::new);
            Ok((rules.enrolments().get(&path).map(|enrolled| shown(&path, enrolled, now.wall)), told))
        });
        let identity = revoked.await?;
        tracing::warn!(%role, at_once, by, "revoked");
        Ok(Response::new(proto::RevokeIdentityResponse { identity }))
    }

    async fn list_identities(
        &self,
        request: Request<proto::ListIdentitiesRequest>,
    ) -> Result<Response<proto::ListIdentitiesResponse>, Status> {
        let actor = Actor::of(&request);
        let proto::ListIdentitiesRequest { page_size: size, page_token } = request.into_inner();
        let size = page_size(size)?;
        if !page_token.is_empty() && page_token.parse::<Role>().is_err() {
            let problem = "is not one of this list's; take next_page_token of the page before";
            return Err(InvalidField::new("page_token", problem).into());
        }
        let page = self.office.decide(move |rules, now, batch| {
            rules.stands(&actor)?;
            if page_token.is_empty() {
                rules.take_in_issued(now, batch); // a list is begun: its other pages are of the same moment, or later
            }
            let later = rules.enrolments().after(&page_token);
            Ok(page(later.map(|(role, enrolled)| shown(role, enrolled, now.wall)), size))
        });
        Ok(Response::new(page.await?))
    }

    async fn add_card(
        &self,
        request: Request<proto::AddCardRequest>,
    ) -> Result<Response<proto::AddCardResponse>, Status> {
        let (actor, by) = (Actor::of(&request), by(&request));
        let driver = format!("driver={}", request.get_ref().driver_id);
        let deed = deed(&request, "AddCard", String::new(), driver);
        let new = New::read(request.into_inner())?;
        let added = self.office.does(deed, move |rules, now, batch| {
            rules.stands(&actor)?;
            let card = rules.cards.add(now, batch, new)?;
            let told = format!("card={}", card.card_id);
            Ok((card, Some(told)))
        });
        let card = added.await?;
        tracing::info!(card = card.card_id, driver = card.driver_id, by, "a card was added");
        Ok(Response::new(proto::AddCardResponse { card: Some(card) }))
    }

    async fn list_cards(
        &self,
        request: Request<proto::ListCardsRequest>,
    ) -> Result<Response<proto::ListCardsResponse>, Status> {
        let actor = Actor::of(&request);
        let proto::ListCardsRequest { page_size: size, page_token } = request.into_inner();
        let size = page_size(size)?;
        let page = self.office.decide(move |rules, _, _| {
            rules.stands(&actor)?;
            let mut later = rules.cards.all().after(&page_token).map(|(id, card)| cards::shown(id, card));
            let page: Vec<_> = later.by_ref().take(size).collect();
            let last = page.last().filter(|_| later.next().is_some()).map(|card| card.card_id.clone());
            Ok(proto::ListCardsResponse { cards: page, next_page_token: last.unwrap_or_default() })
        });
        Ok(Response::new(page.await?))
    }

    async fn block_card(
        &self,
        request: Request<proto::BlockCardRequest>,
    ) -> Result<Response<proto::BlockCardResponse>, Status> {
        let (actor, by) = (Actor::of(&request), by(&request));
        let deed = deed(&request, "BlockCard", request.get_ref().card_id.clone(), String::new());
        let proto::BlockCardRequest { card_id, number } = request.into_inner();
        let named = Named::read(&card_id, &number)?;
        let blocked = self.office.does(deed, move |rules, now, batch| {
            rules.stands(&actor)?;
            let card = rules.cards.block(now, batch, named)?;
            let told = format!("card={}", card.card_id);
            Ok((card, Some(told)))
        });
        let card = blocked.await?;
        tracing::warn!(card = card.card_id, driver = card.driver_id, by, "a card was blocked");
        Ok(Response::new(proto::BlockCardResponse { card: Some(card) }))
    }

    async fn unblock_card(
        &self,
        request: Request<proto::UnblockCardRequest>,
    ) -> Result<Response<proto::UnblockCardResponse>, Status> {
        let (actor, by) = (Actor::of(&request), by(&request));
        let deed = deed(&request, "UnblockCard", request.get_ref().card_id.clone(), String::new());
        let proto::UnblockCardRequest { card_id, number } = request.into_inner();
        let named = Named::read(&card_id, &number)?;
        let unblocked = self.office.does(deed, move |rules, now, batch| {
            rules.stands(&actor)?;
            let card = rules.cards.unblock(now, batch, named)?;
            let told = format!("card={}", card.card_id);
            Ok((card, Some(told)))
        });
        let card = unblocked.await?;
        tracing::warn!(card = card.card_id, driver = card.driver_id, by, "a card was unblocked");
        Ok(Response::new(proto::UnblockCardResponse { card: Some(card) }))
    }

    async fn add_gateway_charge_points(
        &self,
        request: Request<proto::AddGatewayChargePointsRequest>,
    ) -> Result<Response<proto::AddGatewayChargePointsResponse>, Status> {
        let proto::AddGatewayChargePointsRequest { gateway, charge_point_ids } = request.get_ref();
        let said = Said::read(gateway, charge_point_ids)?;
        let changed_count = self.gateway(&request, "AddGatewayChargePoints", said, Gateways::add).await?;
        Ok(Response::new(proto::AddGatewayChargePointsResponse { changed_count }))
    }

    async fn remove_gateway_charge_points(
        &self,
        request: Request<proto::RemoveGatewayChargePointsRequest>,
    ) -> Result<Response<proto::RemoveGatewayChargePointsResponse>, Status> {
        let proto::RemoveGatewayChargePointsRequest { gateway, charge_point_ids } = request.get_ref();
        let said = Said::read(gateway, charge_point_ids)?;
        let changed_count =
            self.gateway(&request, "RemoveGatewayChargePoints", said, Gateways::remove).await?;
        Ok(Response::new(proto::RemoveGatewayChargePointsResponse { changed_count }))
    }

    async fn list_gateway_charge_points(
        &self,
        request: Request<proto::ListGatewayChargePointsRequest>,
    ) -> Result<Response<proto::ListGatewayChargePointsResponse>, Status> {
        let actor = Actor::of(&request);
        let proto::ListGatewayChargePointsRequest { page_size: size, page_token } = request.into_inner();
        let size = page_size(size)?;
        let page = self.office.decide(move |rules, _, _| {
            rules.stands(&actor)?;
            Ok(gateways::page(rules.gateways.all(), size, &page_token))
        });
        Ok(Response::new(page.await?))
    }

    async fn watch_identities(
        &self,
        request: Request<proto::WatchIdentitiesRequest>,
    ) -> Result<Response<Self::WatchIdentitiesStream>, Status> {
        // Whoever else is let in here one day is not told how to look cards up.
        let is_central = matches!(Actor::of(&request).role(), Some(Role::Central(_)));
        let watching = Watching::begin(self.office.clone()).await?;
        let messages = stream::try_unfold(watching, |mut watching| async {
            let message = watching.next().await?;
            Ok::<_, Status>(Some((message, watching)))
        });
        if !is_central {
            return Ok(Response::new(Box::pin(messages)));
        }
        let watching = WatchingCards::begin(self.office.clone()).await?;
        let cards = stream::try_unfold(watching, |mut watching| async {
            let message = watching.next().await?;
            Ok::<_, Status>(Some((message, watching)))
        });
        let mut watching = WatchingGateways::begin(self.office.clone()).await?;
        let mut first = Vec::new();
        while let Some(message) = watching.first().await? {
            first.push(Ok(message));
        }
        let gateways = stream::try_unfold(watching, |mut watching| async {
            let message = watching.next().await?;
            Ok::<_, Status>(Some((message, watching)))
        });
        let rest = stream::select(stream::select(messages, cards), gateways);
        Ok(Response::new(Box::pin(stream::iter(first).chain(rest))))
    }

    async fn list_audit_entries(
        &self,
        request: Request<proto::ListAuditEntriesRequest>,
    ) -> Result<Response<proto::ListAuditEntriesResponse>, Status> {
        let actor = Actor::of(&request);
        let asked = Asked::of(request.into_inner())?;
        let stands = move |rules: &mut Registry, _, _: &mut _| rules.stands(&actor);
        let page = self.office.decide_and_read(stands, move |(), store| Ok(asked.page(store)));
        Ok(Response::new(page.await?.map_err(Failure::internal)?))
    }
}

impl RegistryApi {
    /// What an admin says of what a gateway serves.
    async fn gateway<T>(
        &self,
        request: &Request<T>,
        method: &'static str,
        said: Said,
        change: fn(&mut Gateways, &mut Batch, Said) -> Result<i32, Failure>,
    ) -> Result<i32, Failure> {
        let (actor, by) = (Actor::of(request), by(request));
        let (role, parameters) = (Role::Gateway(said.gateway.clone()), said.parameters());
        let deed = deed(request, method, role.to_string(), parameters.clone());
        let changed = self.office.does(deed, move |rules, _, batch| {
            rules.stands(&actor)?;
            let changed = change(&mut rules.gateways, batch, said)?;
            Ok((changed, (changed > 0).then(|| format!("changed={changed}"))))
        });
        let changed = changed.await?;
        tracing::warn!(%role, %parameters, changed, by, "{method}");
        Ok(changed)
    }
}

/// Where it is to be found, for who reads later what was asked for.
fn hosts_of(asked: &proto::CreateEnrolmentTokenRequest) -> String {
    if asked.hosts.is_empty() { String::new() } else { format!("hosts={}", asked.hosts.join(" ")) }
}

/// The first of these: so many, or as many as fit into [`MAX_PAGE_BYTES`].
fn page(identities: impl Iterator<Item = proto::Identity>, size: usize) -> proto::ListIdentitiesResponse {
    let mut page = proto::ListIdentitiesResponse::default();
    let mut bytes = 0;
    for identity in identities {
        bytes += identity.encoded_len();
        if let Some(last) = page.identities.last()
            && (page.identities.len() == size || bytes > MAX_PAGE_BYTES)
        {
            page.next_page_token = last.role.clone();
            break;
        }
        page.identities.push(identity);
    }
    page
}

/// Who asks, for the log.
fn by<T>(request: &Request<T>) -> String {
    Actor::of(request).role().map(ToString::to_string).unwrap_or_default()
}

fn role_of(path: &str) -> Result<Role, InvalidField> {
    parse("role", path)
}

fn asker(request: &str) -> Result<AskersKey, InvalidField> {
    AskersKey::of_request(request).map_err(|problem| InvalidField::new("certificate_request", problem))
}

fn tell(what: &str, given: &Credentials) {
    if let Some(identity) = identity::named_in(&given.chain) {
        tracing::info!(%identity, "{what}");
    }
}

fn credentials(Credentials { chain, core, network }: Credentials) -> proto::Credentials {
    proto::Credentials { certificate: chain, core_authorities: core, network_authorities: network }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities(count: usize, hosts: usize) -> impl Iterator<Item = proto::Identity> {
        (0..count).map(move |n| proto::Identity {
            role: format!("viewer/{n:04}"),
            hosts: vec!["h".repeat(250); hosts],
            ..Default::default()
        })
    }

    #[test]
    fn a_page_has_its_size_and_never_more_bytes_than_its_bound() {
        let token = |count, size| {
            let page = page(identities(count, 0), size);
            (page.identities.len(), page.next_page_token)
        };
        assert_eq!(token(0, 2), (0, String::new()));
        assert_eq!(token(2, 2), (2, String::new()));
        assert_eq!(token(3, 2), (2, "viewer/0001".to_owned()));
        let large = page(identities(500, 16), 500);
        assert!((200..500).contains(&large.identities.len()), "{}", large.identities.len());
        assert!(large.encoded_len() <= MAX_PAGE_BYTES + 100);
        assert_eq!(Some(&large.next_page_token), large.identities.last().map(|last| &last.role));
        assert_eq!(page(identities(2, 8_000), 500).identities.len(), 1, "one comes whatever its size");
    }
}
