//! Authorization of requests to a registry: none, a password, or a token for which a service was told the password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use crate::access::Access;
use crate::challenge::Challenge;
use crate::credentials::{Credential, files, find};
use crate::error::RegistryError;
use crate::http::{Http, Request, codes, host_of, read};
use crate::reference::Reference;
use crate::secret::Secret;

/// Credentials for one registry, and the header made of them.
#[derive(Debug)]
pub(super) struct Authorization {
    reference: Reference,
    token_hosts: Vec<String>,
    /// Read when first asked for.
    credential: Option<Option<Credential>>,
    header: Option<HeaderValue>,
    /// The challenge that `header` answers. The same one again means that it did not suffice.
    answered: Option<Challenge>,
}

impl Authorization {
    pub(super) fn new(reference: &Reference, access: &Access) -> Self {
        let token_hosts = access.token_hosts.clone();
        Self { reference: reference.clone(), token_hosts, credential: None, header: None, answered: None }
    }

    pub(super) fn header(&self) -> Option<&HeaderValue> {
        self.header.as_ref()
    }

    /// Says whom a registry refused.
    pub(super) fn whom(&self) -> &'static str {
        match self.credential {
            Some(Some(_)) => "the stored credentials",
            _ => "requests without credentials",
        }
    }

    /// Answers the challenge of a registry. False if there is none that can be answered, or the last answer was to the same.
    ///
    /// # Errors
    ///
    /// There are no credentials, they cannot be read, or the service for tokens refuses them.
    pub(super) async fn answer(&mut self, http: &Http, refusal: &Response) -> Result<bool, RegistryError> {
        let headers = refusal.headers().get_all(WWW_AUTHENTICATE);
        let challenges: Vec<Challenge> =
            headers.iter().filter_map(|header| Challenge::parse(header.to_str().ok()?)).collect();
        let is_bearer = |challenge: &&Challenge| matches!(challenge, Challenge::Bearer { .. });
        let Some(challenge) = challenges.iter().find(is_bearer).or(challenges.first()) else { return Ok(false) };
        if self.answered.as_ref() == Some(challenge) {
            return Ok(false);
        }
        let credential = self.credential()?;
        let header = match challenge {
            Challenge::Basic => self.basic(credential.as_ref())?,
            Challenge::Bearer { realm, service, scope } => {
                let token =
                    self.token(http, credential.as_ref(), realm, [service.as_deref(), scope.as_deref()]).await?;
                sensitive(&format!("Bearer {}", token.expose()), &self.reference)?
            }
        };
        (self.header, self.answered) = (Some(header), Some(challenge.clone()));
        Ok(true)
    }

    fn credential(&mut self) -> Result<Option<Credential>, RegistryError> {
        if self.credential.is_none() {
            self.credential = Some(find(&self.reference, &files())?);
        }
        Ok(self.credential.clone().flatten())
    }

    fn basic(&self, credential: Option<&Credential>) -> Result<HeaderValue, RegistryError> {
        match credential {
            Some(Credential::Password { user, password }) => basic(user, password, &self.reference),
            _ => {
                let searched: Vec<String> = files().iter().map(|file| file.display().to_string()).collect();
                Err(RegistryError::NoCredentials { host: self.reference.host().into(), searched: searched.join(", ") })
            }
        }
    }

    /// Asks the service for a token: with the credentials if there are some, or as anybody.
    async fn token(
        &self,
        http: &Http,
        credential: Option<&Credential>,
        realm: &str,
        [service, scope]: [Option<&str>; 2],
    ) -> Result<Secret, RegistryError> {
        let mut url = self.realm(realm, credential.is_some())?;
        let host = host_of(&url);
        let parameters = [("service", service), ("scope", scope)];
        let mut header = None;
        let request = match credential {
            Some(Credential::IdentityToken(token)) => {
                let mut form = url.clone();
                form.query_pairs_mut().clear().extend_pairs([
                    ("grant_type", "refresh_token"),
                    ("client_id", "herd"),
                    ("refresh_token", token.expose()),
                ]);
                append(&mut form, parameters);
                let mut post = Request::new(Method::POST, url, "a request for a token");
                let form = form.query().unwrap_or_default().to_string();
                post.body = Some(("application/x-www-form-urlencoded", form.into()));
                post
            }
            _ => {
                if let Some(Credential::Password { user, password }) = credential {
                    header = Some(basic(user, password, &self.reference)?);
                }
                append(&mut url, parameters);
                Request::new(Method::GET, url, "a request for a token")
            }
        };
        let answer = http.send(&request, header.as_ref()).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(RegistryError::Denied { host, whom: self.whom(), codes: codes(answer).await });
            }
            _ => return Err(RegistryError::Answer { host, codes: codes(answer).await, request: request.what }),
        }
        let answer: Value = serde_json::from_slice(&read(answer, TOKEN_BYTES_MAX).await?).unwrap_or_default();
        let token = ["token", "access_token"].iter().find_map(|name| answer[*name].as_str());
        let without = || RegistryError::Answer { host, codes: "200 without a token".into(), request: request.what };
        token.map(Secret::new).ok_or_else(without)
    }

    /// Checks where tokens come from: over https unless the registry is reached over http, and with credentials only from the registry's own host, its
    /// known other half, or a host that the operator named.
    fn realm(&self, realm: &str, with_credential: bool) -> Result<Url, RegistryError> {
        let registry = self.reference.host();
        let astray = |whither| RegistryError::Astray { host: registry.into(), whither };
        let url = Url::parse(realm).map_err(|_| astray("to a service for tokens that is no URL"))?;
        let host = host_of(&url);
        let name = |host: &str| host.rsplit_once(':').map_or(host, |(name, _)| name).to_string();
        let own = self.reference.api_host();
        // Over http only to the machine to which requests go over http anyway.
        let is_own = host == own || (name(&host) == name(own) && self.reference.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && is_own) {
            return Err(astray("to a service for tokens over http"));
        }
        let is_known = KNOWN.contains(&(registry, &*host)) || self.token_hosts.contains(&host);
        if with_credential && !is_own && !is_known {
            return Err(RegistryError::OtherHost { host: registry.into(), other: host });
        }
        Ok(url)
    }
}

fn append(url: &mut Url, parameters: [(&str, Option<&str>); 2]) {
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
}

fn basic(user: &str, password: &Secret, reference: &Reference) -> Result<HeaderValue, RegistryError> {
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose()))), reference)
}

fn sensitive(text: &str, reference: &Reference) -> Result<HeaderValue, RegistryError> {
    let mut header = HeaderValue::from_str(text).map_err(|_| RegistryError::Credentials {
        place: reference.host().into(),
        why: "they have letters that no header has",
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Registries whose service for tokens is on another host of the same owner.
const KNOWN: [(&str, &str); 2] = [("docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

/// Tokens have a few KiB.
const TOKEN_BYTES_MAX: usize = 64 << 10;
