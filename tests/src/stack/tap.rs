//! A service of AWS, or a REST catalog, that notes every call by its IAM action or its name in the
//! catalog's specification, and fails where a test wants it to: a stand-in of our own, or a tap in front
//! of another server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::http::{HttpServer, Reply, Request, forward};

/// What happens to one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is refused with this status and body, and not done.
    Refuse(u16, String),
    /// The connection breaks before it is done.
    CutBefore,
    /// It is done, and the connection breaks without an answer.
    CutAfter,
    /// It is done, and the connection breaks in the middle of the answer.
    CutWithin,
    /// It is done, and the answer is this one all the same.
    LieAfter(u16, String),
    /// The connection breaks, and it is done so much later.
    Late(Duration),
    /// It is done, and the answer comes so much later.
    Slow(Duration),
    /// It is not done, and the connection breaks so much later.
    Hang(Duration),
}

/// What calls meet that nobody named: by their action, at each of them.
type Weather = dyn FnMut(&str) -> Option<Fault> + Send;

#[derive(Default)]
struct State {
    calls: Vec<String>,
    /// What they were about, in the same order.
    targets: Vec<String>,
    /// By action, in order.
    faults: VecDeque<(String, Fault)>,
    weather: Option<Box<Weather>>,
}

impl State {
    fn take(&mut self, action: &str) -> Option<Fault> {
        match self.faults.iter().position(|(of, _)| of == action) {
            Some(at) => self.faults.remove(at).map(|(_, fault)| fault),
            None => self.weather.as_mut()?(action),
        }
    }
}

/// The service. Dropped, it ends.
pub struct Tap {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

impl Tap {
    /// In front of the server at `endpoint`.
    pub fn before(endpoint: &str) -> Result<Tap> {
        let endpoint = endpoint.to_string();
        Tap::on(move |request| forward(&endpoint, request).ok())
    }

    /// Over a stand-in of our own.
    pub fn on(answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Result<Tap> {
        let state: Arc<Mutex<State>> = Arc::default();
        let (noted, answer) = (state.clone(), Arc::new(answer));
        let server = HttpServer::start(move |request| {
            let action = action(&request);
            let fault = {
                let mut state = lock(&noted);
                state.calls.push(action.clone());
                state.targets.push(target(&request));
                state.take(&action)
            };
            let Some(fault) = fault else { return answer(&request) };
            suffer(fault, request, &answer)
        })?;
        Ok(Tap { server, state })
    }

    /// Where to reach it.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The next call of `action`, for example `glue:UpdateTable`, meets this.
    pub fn fault(&self, action: &str, fault: Fault) {
        lock(&self.state).faults.push_back((action.into(), fault));
    }

    /// From now on each call that no fault was named for meets what this says of its action.
    pub fn weather(&self, weather: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        lock(&self.state).weather = Some(Box::new(weather));
    }

    /// No more weather.
    pub fn calm(&self) {
        lock(&self.state).weather = None;
    }

    /// The actions of all calls so far, in order.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.state).calls.clone()
    }

    /// The actions of all calls so far, each with what it was about: the path and query of S3, the database and
    /// table of Glue.
    pub fn targets(&self) -> Vec<(String, String)> {
        let state = lock(&self.state);
        state.calls.iter().cloned().zip(state.targets.iter().cloned()).collect()
    }

    /// Forgets the calls so far.
    pub fn forget(&self) {
        let mut state = lock(&self.state);
        state.calls.clear();
        state.targets.clear();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call with its fault: what is done, and what is answered.
fn suffer(
    fault: Fault,
    request: Request,
    answer: &Arc<impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static>,
) -> Option<Reply> {
    let plain =
        |status, body: String| Reply { status, body: body.into_bytes(), ..Reply::default() };
    match fault {
        Fault::Refuse(status, body) => Some(plain(status, body)),
        Fault::CutBefore => None,
        Fault::CutAfter => {
            answer(&request);
            None
        }
        Fault::CutWithin => {
            let mut reply = answer(&request)?;
            reply.length = Some(reply.length.unwrap_or(reply.body.len()));
            reply.body.truncate(reply.body.len() / 2);
            Some(reply)
        }
        Fault::LieAfter(status, body) => {
            answer(&request);
            Some(plain(status, body))
        }
        Fault::Late(wait) => {
            let answer = answer.clone();
            std::thread::spawn(move || {
                std::thread::sleep(wait);
                answer(&request);
            });
            None
        }
        Fault::Hang(wait) => {
            std::thread::sleep(wait);
            None
        }
        Fault::Slow(wait) => {
            let reply = answer(&request);
            std::thread::sleep(wait);
            reply
        }
    }
}

/// What a request is about.
fn target(request: &Request) -> String {
    if request.header("x-amz-target").is_none() {
        return request.target.clone();
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let table =
        body["TableInput"]["Name"].as_str().map_or_else(|| text(&body["Name"]), str::to_string);
    match body["DatabaseInput"]["Name"].as_str() {
        Some(database) => database.to_string(),
        None => format!("{}.{table}", text(&body["DatabaseName"])),
    }
}

/// The IAM action that a request needs, or the call of a REST catalog that it is.
fn action(request: &Request) -> String {
    if let Some(path) = request.target.strip_prefix("/v1/") {
        return format!("rest:{}", rest_call(&request.method, path));
    }
    if let Some(target) = request.header("x-amz-target") {
        let (service, operation) = target.split_once('.').unwrap_or(("", target));
        let service = service.to_lowercase();
        return format!("{}:{operation}", service.strip_prefix("aws").unwrap_or(&service));
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let key = path.trim_matches('/').contains('/');
    match (request.method.as_str(), key) {
        ("POST", _) if query.starts_with("delete") => "s3:DeleteObject",
        ("POST", false) => "sts:AssumeRole",
        ("PUT", true) => "s3:PutObject",
        ("GET" | "HEAD", true) => "s3:GetObject",
        ("DELETE", true) => "s3:DeleteObject",
        ("GET", false) => "s3:ListBucket",
        _ => "s3:other",
    }
    .to_string()
}

fn rest_call(method: &str, path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    match (method, &parts[..]) {
        ("GET", ["config"]) => "getConfig",
        ("POST", ["oauth", "tokens"]) => "getToken",
        ("GET", ["namespaces"]) => "listNamespaces",
        ("POST", ["namespaces"]) => "createNamespace",
        ("GET", ["namespaces", _, "tables"]) => "listTables",
        ("POST", ["namespaces", _, "tables"]) => "createTable",
        ("POST", ["namespaces", _, "register"]) => "registerTable",
        ("GET", ["namespaces", _, "tables", _]) => "loadTable",
        ("POST", ["namespaces", _, "tables", _]) => "updateTable",
        _ => "other",
    }
}
