//! Matrix → combinations, and the names that they give to tests.
//!
//! Owns the order (the last variable changes fastest), `exclude`, `include`, and names that stay the same as long as
//! variables and values do: `checkout[db=16,os=a]`.

use super::document::{Matrix, Named};

/// The most combinations of one matrix.
pub const MOST_COMBINATIONS: usize = 1_000;

/// The value of every variable, in the order of the matrix.
pub type Combination = Vec<(String, String)>;

/// A matrix that makes no tests, or too many. `path` leads from the matrix to what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct MatrixError {
    /// Keys and indices below `matrix`.
    pub path: Vec<String>,
    /// What is wrong.
    pub problem: String,
    /// A name that was probably meant.
    pub nearest: Option<String>,
}

impl MatrixError {
    fn new(path: &[&str], problem: impl Into<String>) -> Self {
        let path = path.iter().map(|&step| step.to_owned()).collect();
        Self { path, problem: problem.into(), nearest: None }
    }
}

/// All combinations: the product of the variables without what `exclude` names, and then what `include` adds.
pub fn combinations(matrix: &Matrix) -> Result<Vec<Combination>, MatrixError> {
    check(matrix)?;
    let mut all: Vec<Combination> = if matrix.axes.is_empty() { Vec::new() } else { vec![Vec::new()] };
    for (name, values) in &matrix.axes {
        if all.len().saturating_mul(values.len()) > MOST_COMBINATIONS {
            return Err(MatrixError::new(&[name], format!("more than {MOST_COMBINATIONS} combinations")));
        }
        let extended = |combination: &Combination| {
            values
                .iter()
                .map(|value| {
                    let pair = (name.clone(), value.clone());
                    combination.iter().cloned().chain([pair]).collect()
                })
                .collect::<Vec<Combination>>()
        };
        all = all.iter().flat_map(extended).collect();
    }
    let is_excluded = |combination: &Combination| {
        let has = |(name, value): (&str, &String)| combination.iter().any(|(n, v)| n == name && v == value);
        matrix.exclude.iter().any(|excluded| excluded.iter().all(has))
    };
    all.retain(|combination| !is_excluded(combination));
    for (index, included) in matrix.include.iter().enumerate() {
        let combination = ordered(matrix, included);
        if all.contains(&combination) {
            let index = index.to_string();
            return Err(MatrixError::new(&["include", &index], "this combination is there already"));
        }
        all.push(combination);
    }
    if all.len() > MOST_COMBINATIONS {
        return Err(MatrixError::new(&["include"], format!("more than {MOST_COMBINATIONS} combinations")));
    }
    if all.is_empty() {
        return Err(MatrixError::new(&[], "the matrix has no combination"));
    }
    Ok(all)
}

/// The variables of the matrix first, in its order, then those of this combination alone.
fn ordered(matrix: &Matrix, included: &Named<String>) -> Combination {
    let own = |name: &&str| matrix.axes.iter().all(|(axis, _)| axis != name);
    let axes = matrix.axes.iter().map(|(name, _)| name.as_str());
    axes.chain(included.names().filter(own))
        .filter_map(|name| Some((name.to_owned(), included.get(name)?.clone())))
        .collect()
}

fn check(matrix: &Matrix) -> Result<(), MatrixError> {
    for (name, values) in &matrix.axes {
        check_name(name).map_err(|problem| MatrixError::new(&[name], problem))?;
        if values.is_empty() {
            return Err(MatrixError::new(&[name], "expected at least one value"));
        }
        for (index, value) in values.iter().enumerate() {
            let path = [name.as_str(), &index.to_string()];
            check_value(value).map_err(|problem| MatrixError::new(&path, problem))?;
            if values.iter().take(index).any(|known| known == value) {
                return Err(MatrixError::new(&path, format!("`{value}` is there twice")));
            }
        }
    }
    let axis = |name: &str| matrix.axes.iter().find(|(axis, _)| axis == name);
    for (index, excluded) in matrix.exclude.iter().enumerate() {
        let index = index.to_string();
        if excluded.is_empty() {
            return Err(MatrixError::new(&["exclude", &index], "this leaves out everything"));
        }
        for (name, value) in excluded.iter() {
            let path = ["exclude", &index, name];
            let Some((_, values)) = axis(name) else {
                let problem = format!("the matrix has no variable `{name}`");
                let names = matrix.axes.iter().map(|(name, _)| name.as_str());
                let nearest = crate::error::nearest(name, names).map(str::to_owned);
                return Err(MatrixError { nearest, ..MatrixError::new(&path, problem) });
            };
            if !values.contains(value) {
                let problem = format!("`{name}` never is `{value}`");
                let nearest = crate::error::nearest(value, values.iter().map(String::as_str));
                return Err(MatrixError {
                    nearest: nearest.map(str::to_owned),
                    ..MatrixError::new(&path, problem)
                });
            }
        }
    }
    for (index, included) in matrix.include.iter().enumerate() {
        let index = index.to_string();
        if let Some((missing, _)) = matrix.axes.iter().find(|(axis, _)| included.get(axis).is_none()) {
            let problem = format!("expected a value for every variable: `{missing}` has none");
            return Err(MatrixError::new(&["include", &index], problem));
        }
        for (name, value) in included.iter() {
            let path = ["include", &index, name];
            check_name(name)
                .and_then(|()| check_value(value))
                .map_err(|problem| MatrixError::new(&path, problem))?;
        }
        if included.is_empty() {
            return Err(MatrixError::new(&["include", &index], "expected at least one variable"));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let right = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(allowed);
    if right {
        return Ok(());
    }
    Err(format!("`{}` is no name of a variable: expected letters, digits, _ and -", name.escape_debug()))
}

/// Values become part of names, and names are separated by these.
fn check_value(value: &str) -> Result<(), String> {
    if value.is_empty() || value.len() > 200 {
        return Err("expected a value of 1 to 200 bytes".to_owned());
    }
    if value.contains(|c: char| c.is_control() || matches!(c, '[' | ']' | ',' | '=')) {
        return Err("expected a value without [ ] , = and control characters".to_owned());
    }
    Ok(())
}

/// `checkout[db=16,os=a]`
#[must_use]
pub fn name(base: &str, combination: &[(String, String)]) -> String {
    let pairs: Vec<String> = combination.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{base}[{}]", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        text.split(',').filter(|text| !text.is_empty()).map(pair).collect()
    }

    fn matrix(axes: &[(&str, &[&str])], include: &[&str], exclude: &[&str]) -> Matrix {
        let words = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        let all = |texts: &[&str]| texts.iter().map(|text| Named(pairs(text))).collect();
        Matrix {
            axes: axes.iter().map(|(name, values)| ((*name).to_owned(), words(values))).collect(),
            include: all(include),
            exclude: all(exclude),
        }
    }

    fn names(matrix: &Matrix) -> Vec<String> {
        combinations(matrix).unwrap().iter().map(|combination| name("t", combination)).collect()
    }

    #[test]
    fn the_last_variable_changes_fastest() {
        let axes: [(&str, &[&str]); 2] = [("db", &["15", "16"]), ("os", &["a", "b"])];
        let expected = ["t[db=15,os=a]", "t[db=15,os=b]", "t[db=16,os=a]", "t[db=16,os=b]"];
        assert_eq!(names(&matrix(&axes, &[], &[])), expected);
    }

    #[test]
    fn combinations_are_left_out_and_added() {
        let axes: [(&str, &[&str]); 2] = [("db", &["15", "16"]), ("os", &["a", "b"])];
        let matrix_ = matrix(&axes, &["os=c,db=17,new=yes"], &["db=15", "db=16,os=b"]);
        assert_eq!(names(&matrix_), ["t[db=16,os=a]", "t[db=17,os=c,new=yes]"]);
        assert_eq!(names(&matrix(&[], &["a=1", "b=2"], &[])), ["t[a=1]", "t[b=2]"]);
    }

    #[test]
    fn wrong_matrices_are_refused_with_the_way_to_the_place() {
        let a: [(&str, &[&str]); 1] = [("os", &["alpine", "b"])];
        let many: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let table: [(Matrix, &str, &str); 11] = [
            (matrix(&[], &[], &[]), "", "no combination"),
            (matrix(&[("os", &[])], &[], &[]), "os", "at least one value"),
            (matrix(&[("os", &["a", "a"])], &[], &[]), "os.1", "there twice"),
            (matrix(&[("os", &["a,b"])], &[], &[]), "os.0", "without [ ]"),
            (matrix(&[("o s", &["a"])], &[], &[]), "o s", "no name of a variable"),
            (matrix(&a, &[], &["so=b"]), "exclude.0.so", "no variable `so`"),
            (matrix(&a, &[], &["os=alpin"]), "exclude.0.os", "never is `alpin`"),
            (matrix(&a, &[], &[""]), "exclude.0", "leaves out everything"),
            (matrix(&a, &["x=1"], &[]), "include.0", "`os` has none"),
            (matrix(&a, &["os=b"], &[]), "include.0", "there already"),
            (matrix(&[("a", &many), ("b", &many)], &[], &[]), "b", "more than 1000"),
        ];
        for (matrix, path, problem) in table {
            let error = combinations(&matrix).unwrap_err();
            assert_eq!(error.path.join("."), path, "{error}");
            assert!(error.problem.contains(problem), "{error}");
        }
    }
}
