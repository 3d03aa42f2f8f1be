//! The HTTP API: what an API server answers, and what faults make of it.

mod answer;
mod call;
mod create;
mod decode;
mod delete;
mod discovery;
pub(crate) mod eviction;
mod exec;
mod forward;
mod groups;
mod json_patch;
mod list_options;
mod log;
mod openapi;
mod options;
mod patch;
mod path;
mod protobuf;
mod proxy;
mod query;
mod read;
mod review;
mod scale;
pub(crate) mod selector;
mod socket;
mod strategic;
mod table;
mod token;
mod transport;
mod update;
mod validate;
mod view;
mod watch;
mod yaml;

use std::io;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response};
use tokio::time::sleep;

use self::answer::Answer;
use self::call::Call;
use self::path::{Parts, Target, Words};
use crate::access::{self, Access, Attributes};
use crate::apis::Apis;
use crate::authentication::{self, Shown, Tokens};
use crate::behaviour::LiveBehaviour;
use crate::caller::Caller;
use crate::databases::Databases;
use crate::error::ApiError;
use crate::faults::{Effect, Fate, Faults, WatchFate};
use crate::listeners::{Listeners, Stream};
use crate::outside::Outside;
use crate::record::{RecordedRequest, Recorder};
use crate::store::Store;

pub use self::answer::Broken;
pub(crate) use self::eviction::Conflicts;
pub use self::transport::Transport;
pub(crate) use self::transport::router;

/// The API server. Clones are the same server.
#[derive(Clone)]
pub(crate) struct Server {
    pub store: Store,
    pub apis: Apis,
    pub access: Access,
    pub tokens: Tokens,
    pub listeners: Listeners,
    pub databases: Databases,
    pub outside: Outside,
    pub faults: Faults,
    pub recorder: Recorder,
    pub behaviour: LiveBehaviour,
    pub conflicts: Conflicts,
}

impl Server {
    /// A connection to a port of a pod: to what was put there, or else to the simulated database.
    ///
    /// # Errors
    /// `ConnectionRefused` where nobody listens; what the process's own listener reports.
    async fn connect(&self, namespace: &str, pod: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        if let Some(connection) = self.listeners.connect(namespace, pod, port) {
            return connection.await;
        }
        match self.databases.connect(namespace, pod, port) {
            Some(stream) => Ok(Box::new(stream)),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn identify(&self, shown: &Shown, headers: &HeaderMap) -> Result<Caller, ApiError> {
        authentication::identify(shown, headers, (&self.tokens, self.store.now()), &self.access)
    }

    /// Handles a request, or breaks its connection.
    async fn handle(&self, call: Call) -> Result<Response<Body>, Broken> {
        let mut record = call.record();
        self.recorder.begin(&mut record);
        let fate = self.faults.draw(&record);
        if !fate.delay.is_zero() {
            sleep(fate.delay).await;
        }
        if let Some(effect) = &fate.before {
            let answer = self.suffer(effect, &call).await?;
            self.recorder.finish(record, answer.code);
            return Ok(answer.into_response(&fate.warnings));
        }
        let Some(late) = fate.late else { return self.answer_and_suffer(&call, record, &fate).await };
        let server = self.clone();
        let handling = async move {
            sleep(late).await;
            server.answer_and_suffer(&call, record, &fate).await
        };
        // A task of its own goes on without the client.
        tokio::spawn(handling).await.unwrap_or(Err(Broken))
    }

    async fn answer_and_suffer(
        &self,
        call: &Call,
        record: RecordedRequest,
        fate: &Fate,
    ) -> Result<Response<Body>, Broken> {
        let answer = self.route(call, fate.watch).await.unwrap_or_else(Answer::from);
        let answer = if call.wants_yaml() { answer.in_yaml() } else { answer };
        self.recorder.finish(record, answer.code);
        let answer = match &fate.after {
            Some(effect) => self.suffer(effect, call).await?,
            None if fate.cut_body => answer.cut(),
            None => answer,
        };
        Ok(answer.into_response(&fate.warnings))
    }

    /// What the client gets to see of a fault.
    async fn suffer(&self, effect: &Effect, call: &Call) -> Result<Answer, Broken> {
        match effect {
            Effect::Answer(error) => Ok(Answer::refusal(error)),
            Effect::Forbid => Ok(Answer::refusal(&self.forbid(call))),
            Effect::Hang => std::future::pending().await,
            // The others never end a request: they are applied where it is handled.
            Effect::Reset
            | Effect::Delay(_)
            | Effect::Late(_)
            | Effect::Warn(_)
            | Effect::CutBody
            | Effect::CutWatch(_)
            | Effect::StallWatch(_) => Err(Broken),
        }
    }

    fn forbid(&self, call: &Call) -> ApiError {
        let caller = match call.caller() {
            Ok(caller) => caller,
            Err(refused) => return refused,
        };
        let parts = path::split(&call.path);
        let words = parts.as_ref().and_then(|parts| Some((parts.group, path::words(parts)?)));
        match words {
            Some((group, words)) => access::forbidden(&attributes(caller, call, group, &words)),
            None => access::forbidden_path(caller, call.method.as_str(), &call.path),
        }
    }

    async fn route(&self, call: &Call, watch: Option<WatchFate>) -> Result<Answer, ApiError> {
        let caller = call.caller()?;
        if let Some(answer) = discovery::answer(self, caller, call)? {
            return Ok(answer);
        }
        let parts: Parts<'_> = path::split(&call.path).ok_or_else(ApiError::no_such_path)?;
        if let Some(answer) = review::answer(self, caller, call, &parts)? {
            return Ok(answer);
        }
        let words = path::words(&parts).ok_or_else(|| path::absent(parts.group))?;
        let asked = attributes(caller, call, parts.group, &words);
        // The authorizer is asked before anybody knows whether there is such a resource.
        if !self.access.allows(&asked) {
            return Err(access::forbidden(&asked));
        }
        let target = path::target(&parts, &self.apis)?;
        call.query.check_timeout()?;
        target.check_collection(asked.verb)?;
        match target.subresource.as_str() {
            "proxy" => return proxy::proxy(self, call, &target).await,
            "portforward" => return forward::forward(self, call, &target),
            "exec" => return exec::exec(self, call, &target),
            "attach" => return log::attach(self, &target),
            _ => {}
        }
        match asked.verb {
            "watch" => watch::watch(self, call, &target, watch),
            "list" => read::list(self, call, &target),
            "deletecollection" => delete::delete_collection(self, call, &target),
            "create" if target.subresource == "eviction" => eviction::evict(self, call, &target).await,
            "create" if target.subresource == "token" => token::request(self, call, &target),
            "create" if target.name.is_empty() => create::create(self, call, &target),
            verb => self.route_object(call, &target, verb),
        }
    }

    fn route_object(&self, call: &Call, target: &Target, verb: &str) -> Result<Answer, ApiError> {
        match (verb, target.subresource.as_str()) {
            ("get" | "update" | "patch", "scale") => scale::scale(self, call, target),
            ("get", "log") => log::read(self, call, target),
            ("get", "" | "status") => read::get(self, call, target),
            ("update", "" | "status") if !target.name.is_empty() => update::replace(self, call, target),
            ("patch", "" | "status") if !target.name.is_empty() => update::patch(self, call, target),
            ("delete", "") => delete::delete(self, call, target),
            _ => Err(ApiError::method_not_allowed()),
        }
    }
}

/// What the authorizer is asked about a request.
fn attributes<'a>(caller: &'a Caller, call: &'a Call, group: &'a str, words: &Words<'a>) -> Attributes<'a> {
    let collection = words.name.is_empty();
    let verb = match call.method {
        Method::GET if collection && call.query.is_set("watch") => "watch",
        Method::GET if collection => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE => "delete",
        _ => "",
    };
    Attributes {
        caller,
        verb,
        group,
        resource: words.plural,
        subresource: words.subresource,
        namespace: words.namespace,
        name: words.name,
    }
}
