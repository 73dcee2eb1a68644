//! The line against a plain list of who waits.

use plimsoll_wait::{Line, Spot};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Join,
    Serve,
    /// Takes out one of those who ever joined.
    Remove(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Join),
        2 => Just(Step::Serve),
        3 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn it_serves_in_the_order_of_joining_whoever_leaves(steps in steps(), bound in 0_usize..8) {
        let mut line = Line::new(bound);
        let mut order: VecDeque<(Spot, usize)> = VecDeque::new();
        let mut served: Vec<(Spot, usize)> = Vec::new();
        let mut ever: Vec<(Spot, usize)> = Vec::new();
        for (name, step) in steps.into_iter().enumerate() {
            match step {
                Step::Join => match line.join(name) {
                    Ok(spot) => {
                        order.push_back((spot, name));
                        ever.push((spot, name));
                    }
                    Err(back) => prop_assert_eq!((back, order.len()), (name, bound)),
                },
                Step::Serve => {
                    let next = order.pop_front();
                    prop_assert_eq!(line.serve(), next.map(|(spot, _)| spot));
                    served.extend(next);
                }
                Step::Remove(which) if !ever.is_empty() => {
                    let (spot, name) = *which.get(&ever);
                    let here = |list: &[(Spot, usize)]| list.contains(&(spot, name));
                    let expected = here(order.make_contiguous()) || here(&served);
                    prop_assert_eq!(line.remove(spot), expected.then_some(name));
                    order.retain(|&(_, other)| other != name);
                    served.retain(|&(_, other)| other != name);
                }
                Step::Remove(_) => {}
            }
            let waiting: Vec<_> = line.iter().map(|(spot, &name)| (spot, name)).collect();
            prop_assert_eq!(waiting, Vec::from_iter(order.clone()));
            prop_assert_eq!(line.len(), order.len());
            prop_assert_eq!(line.back(), order.back().map(|&(spot, _)| spot));
            prop_assert_eq!(line.is_full(), order.len() == bound);
            prop_assert_eq!(line.is_deserted(), order.is_empty() && served.is_empty());
            for &(spot, name) in &served {
                prop_assert_eq!((line.get(spot), line.is_waiting(spot)), (Some(&name), false));
            }
        }
    }
}
