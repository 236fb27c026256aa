//! The simulator as the other end of our own client, in the same process.

use adelie_dep::{Delivery, Head, Transport, TransportError};
use async_trait::async_trait;
use axum::http::header::ACCEPT_ENCODING;
use axum::http::{Request, Response};
use bytes::Bytes;

use crate::Simulator;

/// A way from our client to the simulator without a socket, so that both run under simulated time.
///
/// A request takes as long as the simulator's clock says, and there is no limit to it. A fault that closes the
/// connection means to the client what it means over a socket: there is no answer, and the request may have taken
/// effect.
#[derive(Clone, Debug)]
pub struct InProcess {
    simulator: Simulator,
}

impl InProcess {
    /// The way to this simulator.
    #[must_use]
    pub fn new(simulator: Simulator) -> Self {
        Self { simulator }
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn round_trip(
        &self,
        mut request: Request<Bytes>,
        largest_answer: usize,
    ) -> Result<Delivery, TransportError> {
        // What goes over no network is not packed.
        request.headers_mut().remove(ACCEPT_ENCODING);
        match self.simulator.answer(request).await {
            Ok(response) => {
                let (head, body) = (head(&response), response.into_body());
                if body.len() > largest_answer {
                    return Err(TransportError::TooLarge { head: Box::new(head) });
                }
                Ok(Delivery { head, body })
            }
            Err(cut) => {
                let head = cut.arrived.as_deref().map(|response| Box::new(head(response)));
                Err(TransportError::NoAnswer { head, cause: cut.into() })
            }
        }
    }
}

fn head(response: &Response<Bytes>) -> Head {
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    Head {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        reason: reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned()),
    }
}
