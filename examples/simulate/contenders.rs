//! The strategies that are compared.

use equipoise::{
    Strategy,
    sim::{Contender, Fitness},
};

use crate::{command_line::CommandLine, values::wrong};

/// What is compared beside every strategy with its defaults.
const BESIDES: [&str; 3] = ["least_loaded@+1", "fleet_least_loaded(d=all)", "least_loaded(d=2)"];

/// Each once, in the order in which they are named.
pub(crate) fn read(line: &CommandLine) -> Result<Vec<Contender>, String> {
    let list = line.text("--strategies").unwrap_or("all".into());
    let mut contenders = Vec::new();
    let mut add = |contender| {
        if !contenders.contains(&contender) {
            contenders.push(contender);
        }
    };
    let read = |text: &str| {
        let contender: Result<Contender, _> = text.parse();
        contender.map_err(|error| wrong("--strategies", &list, error))
    };
    for part in parts(&list) {
        if part.trim() == "all" {
            Strategy::all().map(Contender::new).for_each(&mut add);
            for text in BESIDES {
                add(read(text)?);
            }
        } else {
            add(read(part)?);
        }
    }
    with_each_fitness(line, contenders)
}

/// Each with each of the mechanisms that are named, if any are.
fn with_each_fitness(line: &CommandLine, contenders: Vec<Contender>) -> Result<Vec<Contender>, String> {
    let Some(list) = line.text("--fitness") else {
        return Ok(contenders);
    };
    if let Some(own) = contenders.iter().find(|one| *one.fitness() != Fitness::new()) {
        let why = format!("expected none beside --strategies of which one has its own, {own}");
        return Err(wrong("--fitness", &list, why));
    }
    let read = |text: &str| text.parse().map_err(|error| wrong("--fitness", &list, error));
    let mut each: Vec<Fitness> = Vec::new();
    for text in parts(&list) {
        let fitness = read(text)?;
        if !each.contains(&fitness) {
            each.push(fitness);
        }
    }
    let all = contenders.iter().flat_map(|contender| {
        let with = |fitness: &Fitness| contender.clone().with_fitness(fitness.clone());
        each.iter().map(with)
    });
    Ok(all.collect())
}

/// What is between commas that are in no parentheses.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    list.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth <= 0
    })
}
