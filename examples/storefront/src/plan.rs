//! Who sends how much and when, drawn up before the first request leaves.

use std::time::Duration;

use anyhow::bail;
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// The most requests of one run.
pub const MAX_ARRIVALS: f64 = 200_000.0;

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
    /// Whether the plan can be carried out, for whoever wants to know before anything starts.
    ///
    /// # Errors
    ///
    /// When it sends nothing, or more than [`MAX_ARRIVALS`] requests.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.schedule()?.is_empty() {
            bail!("the load must be at least one request (a rate of 0 sends none)");
        }
        Ok(())
    }

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
        for client in 1..=self.polite_clients {
            // The gaps of a Poisson process are exponential. `1 - u` is never 0.
            let gap = |draw: &mut SmallRng| -(1.0 - draw.random::<f64>()).ln() / self.polite_rate;
            let mut at = gap(&mut draw);
            while at < seconds {
                add(at, client, &mut draw);
                at += gap(&mut draw);
            }
        }
        schedule.sort_by_key(|arrival| arrival.at);
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            duration: Duration::from_secs(10),
            polite_clients: 20,
            polite_rate: 10.0,
            greedy_rate: 200.0,
            seed: 1,
        }
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
    fn a_client_without_a_rate_never_arrives() {
        let none = Plan { greedy_rate: 0.0, polite_rate: 0.0, ..plan() };
        assert_eq!(none.schedule().unwrap(), []);
        assert!(none.check().unwrap_err().to_string().contains("at least one request"));
    }
}
