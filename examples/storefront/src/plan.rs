//! Who sends how much and when, drawn up before the first request leaves.

use std::time::Duration;

use anyhow::bail;
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// The most requests of one run.
pub const MAX_ARRIVALS: f64 = 200_000.0;

/// What is to be sent, before it is known how much the service answers.
#[derive(Clone, Debug)]
pub struct Load {
    /// How long arrivals go on.
    pub duration: Duration,
    /// Clients that stay under their rate.
    pub polite_clients: u16,
    /// Requests per second of each polite client.
    pub polite_rate: f64,
    /// How many times what the service answers the greedy client sends.
    pub overload: f64,
    /// The polite clients are the same for the same seed.
    pub seed: u64,
}

impl Load {
    /// The plan for a service that answers `capacity` requests per second. The greedy client
    /// sends no more than [`MAX_ARRIVALS`] leaves it.
    #[must_use]
    pub fn plan(&self, capacity: f64) -> Plan {
        let most = MAX_ARRIVALS / self.duration.as_secs_f64();
        let left = most - self.polite_rate * f64::from(self.polite_clients);
        Plan {
            duration: self.duration,
            polite_clients: self.polite_clients,
            polite_rate: self.polite_rate,
            greedy_rate: (capacity * self.overload).min(left).max(0.0).floor(),
            seed: self.seed,
        }
    }

    /// Whether the polite clients' part can be carried out, for whoever wants to know before
    /// anything starts.
    ///
    /// # Errors
    ///
    /// When they send nothing, or more than [`MAX_ARRIVALS`] requests.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.plan(0.0).schedule()?.is_empty() {
            bail!("the load must be at least one request (a rate of 0 sends none)");
        }
        Ok(())
    }
}

/// Who sends how much, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long arrivals go on.
    pub duration: Duration,
    /// Clients that stay under their rate; they arrive at random (a Poisson process each).
    pub polite_clients: u16,
    /// Requests per second of each polite client.
    pub polite_rate: f64,
    /// Requests per second of the one greedy client, evenly spaced.
    pub greedy_rate: f64,
    /// What is drawn is the same for the same seed.
    pub seed: u64,
}

/// One request to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) at: Duration,
    /// 0 is the greedy one.
    pub(crate) client: u16,
    /// Chooses the request, over whatever there is to ask for.
    pub(crate) choice: u32,
}

impl Plan {
    /// Every arrival of every client, in order of time.
    pub(crate) fn schedule(&self) -> anyhow::Result<Vec<Arrival>> {
        let seconds = self.duration.as_secs_f64();
        let total =
            (self.polite_rate * f64::from(self.polite_clients) + self.greedy_rate) * seconds;
        if !(0.0..=MAX_ARRIVALS).contains(&total) {
            bail!("the load must be at most {MAX_ARRIVALS} requests, and this plan is {total:.0}");
        }
        let mut draw = SmallRng::seed_from_u64(self.seed);
        let mut schedule = Vec::new();
        let mut add = |at, client, draw: &mut SmallRng| {
            schedule.push(Arrival {
                at: Duration::from_secs_f64(at),
                client,
                choice: draw.random(),
            });
        };
        // First, so that they are the same whatever the greedy client sends.
        for client in 1..=self.polite_clients {
            // The gaps of a Poisson process are exponential. `1 - u` is never 0.
            let gap = |draw: &mut SmallRng| -(1.0 - draw.random::<f64>()).ln() / self.polite_rate;
            let mut at = gap(&mut draw);
            while at < seconds {
                add(at, client, &mut draw);
                at += gap(&mut draw);
            }
        }
        if self.greedy_rate > 0.0 {
            let mut at = 0.0;
            for number in 1_u32.. {
                if at >= seconds {
                    break;
                }
                add(at, 0, &mut draw);
                at = f64::from(number) / self.greedy_rate;
            }
        }
        schedule.sort_by_key(|arrival| arrival.at);
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load {
            duration: Duration::from_secs(10),
            polite_clients: 20,
            polite_rate: 10.0,
            overload: 2.0,
            seed: 1,
        }
    }

    fn plan() -> Plan {
        load().plan(100.0)
    }

    #[test]
    fn a_schedule_is_in_order_ends_in_time_and_is_the_same_again() {
        let schedule = plan().schedule().unwrap();
        assert!(schedule.is_sorted_by_key(|arrival| arrival.at));
        assert!(schedule.last().unwrap().at < plan().duration);
        assert_eq!(schedule, plan().schedule().unwrap());
        assert_ne!(schedule, Plan { seed: 2, ..plan() }.schedule().unwrap());
    }

    #[test]
    fn what_the_greedy_client_sends_does_not_change_the_others() {
        let polite = |plan: Plan| {
            let schedule = plan.schedule().unwrap();
            schedule.into_iter().filter(|arrival| arrival.client > 0).collect::<Vec<_>>()
        };
        assert_eq!(polite(load().plan(100.0)), polite(load().plan(333.0)));
    }

    #[test]
    fn each_client_arrives_at_its_own_rate() {
        let schedule = plan().schedule().unwrap();
        let of = |client| schedule.iter().filter(|arrival| arrival.client == client).count();
        assert_eq!(of(0), 2_000);
        // 100 expected of each, and six standard deviations are 60.
        assert!((1..=20).all(|client| (40..=160).contains(&of(client))));
    }

    #[test]
    fn a_plan_too_large_or_no_number_is_refused() {
        for greedy_rate in [1e9, f64::NAN, f64::INFINITY] {
            let error = Plan { greedy_rate, ..plan() }.schedule().unwrap_err().to_string();
            assert!(error.starts_with("the load must be at most 200000 requests"), "{error}");
        }
    }

    #[test]
    fn the_greedy_client_sends_what_overloads_the_service_or_what_the_rest_leaves() {
        assert_eq!(plan().greedy_rate, 200.0);
        let most = load().plan(1e9);
        // 200,000 in ten seconds, less 20 x 10 per second.
        assert_eq!(most.greedy_rate, 19_800.0);
        assert!(most.schedule().is_ok());
    }

    #[test]
    fn a_client_without_a_rate_never_arrives() {
        let none = Plan { greedy_rate: 0.0, polite_rate: 0.0, ..plan() };
        assert_eq!(none.schedule().unwrap(), []);
        let none = Load { polite_rate: 0.0, ..load() };
        assert!(none.check().unwrap_err().to_string().contains("at least one request"));
        let vast = Load { polite_rate: 1e6, ..load() };
        assert!(vast.check().unwrap_err().to_string().contains("at most 200000 requests"));
    }
}
