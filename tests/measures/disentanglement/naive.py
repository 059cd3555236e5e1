"""The metrics once more, written plainly from the papers' formulas: loops, and no code shared.

Only the rule of the split into training and test points is repeated (a permutation, two thirds to
learn from), and the order of the votes' draws, so that chance is the same in both.
"""

from collections import Counter
from itertools import permutations
from math import log

import numpy as np
from scipy.linalg import sqrtm
from scipy.special import digamma
from scipy.stats import spearmanr
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC


def binned(code, n_bins=20):
    """Number the bins as the code of Locatello et al. 2019 does, the maximum in one of its own."""
    bins = np.digitize(code, np.histogram(code, n_bins)[1][:-1])
    return [int(number) for number in bins]


def information(codes, factors):
    """I(z_i; v_j), by scikit-learn."""
    return [[mutual_info_score(v, binned(z)) for v in factors.T] for z in codes.T]


def counted_entropy(*columns):
    n = len(columns[0])
    return -sum(c / n * log(c / n) for c in Counter(zip(*columns, strict=True)).values())


def entropies(factors):
    return [counted_entropy(v.tolist()) for v in factors.T]


def top_two(values):
    first, second = sorted(values, reverse=True)[:2]
    return first, second


def mig(codes, factors):
    """Chen et al. 2018, eq. 6."""
    known = information(codes, factors)
    gaps = []
    for j, h in enumerate(entropies(factors)):
        first, second = top_two([row[j] for row in known])
        gaps.append((first - second) / h)
    return sum(gaps) / len(gaps)


def mig_sup(codes, factors):
    """Li et al. 2020: gaps over factors of the information in units of their entropies."""
    h = entropies(factors)
    gaps = []
    for row in information(codes, factors):
        first, second = top_two([known / e for known, e in zip(row, h, strict=True)])
        gaps.append(first - second)
    return sum(gaps) / len(gaps)


def dcimig(codes, factors):
    """Carbonneau et al. 2020, eq. 8."""
    best = [0.0] * factors.shape[1]
    for row in information(codes, factors):
        first, second = top_two(row)
        owner = row.index(first)
        best[owner] = max(best[owner], first - second)
    return sum(best) / sum(entropies(factors))


def jemmig(codes, factors):
    """Carbonneau et al. 2020, eq. 5."""
    known = information(codes, factors)
    scores = []
    for j, h in enumerate(entropies(factors)):
        column = [row[j] for row in known]
        first, second = top_two(column)
        code = codes[:, column.index(first)]
        joint = counted_entropy(binned(code), factors[:, j].tolist())
        scores.append(1 - (joint - first + second) / (h + log(20)))
    return sum(scores) / len(scores)


def modularity(codes, factors):
    """Ridgeway & Mozer 2018, sec. 3: distance to a template that holds one factor's information."""
    scores = []
    for row in information(codes, factors):
        owner = row.index(max(row))
        template = [row[owner] if j == owner else 0 for j in range(len(row))]
        off = sum((m - t) ** 2 for m, t in zip(row, template, strict=True))
        scores.append(1 - off / (row[owner] ** 2 * (len(row) - 1)))
    return sum(scores) / len(scores)


def irs(codes, factors):
    """Suter et al. 2019, with the 99 % quantile of Locatello et al.; few-valued factors."""
    total = weights = 0.0
    for z in codes.T:
        largest = max(abs(x - z.mean()) for x in z)
        robust = []
        for v in factors.T:
            deviations = []
            for value in set(v.tolist()):
                members = [x for x, y in zip(z, v, strict=True) if y == value]
                centre = sum(members) / len(members)
                deviations.append(np.quantile([abs(x - centre) for x in members], 0.99))
            robust.append(1 - sum(deviations) / len(deviations) / largest)
        total += largest * max(robust)
        weights += largest
    return total / weights


def average_mutual_information(codes, factors):
    d = codes.shape[1]
    bins = [binned(z) for z in codes.T]
    pairs = [mutual_info_score(bins[i], bins[j]) for i in range(d) for j in range(d) if i != j]
    return sum(pairs) / len(pairs)


def gaussian_total_correlation(codes, factors):
    """KL of two centred normals: (tr(D^-1 C) - d + log |D| / |C|) / 2."""
    c = np.cov(codes.T)
    d = np.diag(np.diag(c))
    ratio = np.linalg.det(d) / np.linalg.det(c)
    return (np.trace(np.linalg.inv(d) @ c) - len(c) + log(ratio)) / 2


def wasserstein_correlation(codes, factors):
    """Dowson & Landau 1982, with the matrix root as in the code of Locatello et al. 2019."""
    c = np.cov(codes.T)
    return 2 * np.trace(c) - 2 * np.trace(sqrtm(c * np.diag(c)[:, None]).real)


def mcc(codes, factors):
    """Hyvarinen & Morioka 2016: every assignment of factors to codes is tried."""
    d, k = codes.shape[1], factors.shape[1]
    table = [[abs(np.corrcoef(z, v)[0, 1]) for v in factors.T] for z in codes.T]
    return max(
        sum(table[u][j] for j, u in enumerate(chosen)) / k for chosen in permutations(range(d), k)
    )


def neighbour_information(codes, factors, n=10):
    """Ross 2014, eq. 2, point by point, in units of the factors' entropies."""
    table = []
    for z in codes.T:
        away = abs(z[:, None] - z[None, :])
        row = []
        for v, h in zip(factors.T, entropies(factors), strict=True):
            terms = []
            for i, distances in enumerate(away):
                same = sorted(distances[v == v[i]])  # itself first
                near = min(n, len(same) - 1)
                within = sum(distances <= same[near])  # itself among them
                terms.append(digamma(near) - digamma(len(same)) - digamma(within - 1))
            row.append(max(0, digamma(len(z)) + sum(terms) / len(z)) / h)
        table.append(row)
    return table


def shares(rows):
    """The largest part of each row's sum, from [1/length, 1] to [0, 1]; the mean over rows."""
    found = [(max(row) / sum(row) - 1 / len(row)) / (1 - 1 / len(row)) for row in rows]
    return sum(found) / len(found)


def infom(codes, factors):
    """Hsu et al. 2023, sec. 4; no code here is narrower than a twentieth of the widest."""
    return shares(neighbour_information(codes, factors))


def infoc(codes, factors):
    return shares([*zip(*neighbour_information(codes, factors), strict=True)])


def infoe(codes, factors):
    """Hsu et al. 2023, sec. 4: Newton's method finds the regression, with and without codes."""
    z = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    scores = []
    for v in factors.T:
        values, counts = np.unique(v, return_counts=True)
        weight = (len(v) / len(values) / counts)[np.searchsorted(values, v)]
        left = []
        for read in (z, np.zeros((len(z), 0))):
            p = softmax(read, v, read, values.tolist(), weight, penalty=1e-9)
            left.append(-np.mean([log(p[values.tolist().index(a), i]) for i, a in enumerate(v)]))
        scores.append(1 - left[0] / left[1])
    return sum(scores) / len(scores)


def intrinsic_dimension(codes, factors, m=20):
    """Levina & Bickel 2004, the inverse averaged over points (MacKay & Ghahramani 2005)."""
    inverses = []
    for z in codes:
        near = sorted(np.sqrt(((codes - z) ** 2).sum(axis=1)))[1 : m + 1]  # itself first
        inverses.append(sum(log(near[-1] / r) for r in near[:-1]) / (m - 1))
    return 1 / np.mean(inverses)


def sample_efficiency(codes, factors, seed):
    """Locatello et al. 2019: accuracy from 100 labels over that from all."""
    train, test = split(len(codes), np.random.default_rng(seed))
    right = []
    for labels in (train[:100], train):
        z = (codes - codes[labels].mean(axis=0)) / codes[labels].std(axis=0)
        told = []
        for v in factors.T:
            values = sorted(set(v[labels].tolist()))
            odds = softmax(z[labels], v[labels], z[test], values)
            told.append(np.mean(np.array(values)[odds.argmax(axis=0)] == v[test]))
        right.append(np.mean(told))
    return right[0] / right[1]


def unfairness(codes, factors, seed):
    """Locatello, Abbati et al. 2019, sec. 3, with the regression."""
    train, test = split(len(codes), np.random.default_rng(seed))
    z = (codes - codes[train].mean(axis=0)) / codes[train].std(axis=0)
    apart = []
    for i, v in enumerate(factors.T):
        values = sorted(set(v[train].tolist()))
        odds = softmax(z[train], v[train], z[test], values)
        said = np.array(values)[odds.argmax(axis=0)]
        for j, s in enumerate(factors[test].T):
            if j == i:
                continue
            each = [
                sum(abs(np.mean(said[s == a] == y) - np.mean(said == y)) for y in values) / 2
                for a in sorted(set(s.tolist()))
            ]
            apart.append(np.mean(each))
    return np.mean(apart)


def split(n, rng):
    """Training and test points: a permutation, cut at two thirds."""
    order = rng.permutation(n)
    return order[: round(n * 2 / 3)], order[round(n * 2 / 3) :]


def sap(codes, factors, seed):
    """Kumar et al. 2018, sec. 3, with the machine of Locatello et al. 2019."""
    rng = np.random.default_rng(seed)
    train, test = split(len(codes), rng)
    state = int(rng.integers(2**31))
    gaps = []
    for v in factors.T:
        right = []
        for z in codes.T:
            machine = LinearSVC(C=0.01, class_weight="balanced", random_state=state)
            machine.fit(z[train].reshape(-1, 1), v[train])
            right.append(np.mean(machine.predict(z[test].reshape(-1, 1)) == v[test]))
        first, second = top_two(right)
        gaps.append(first - second)
    return sum(gaps) / len(gaps)


def sap_continuous(codes, factors):
    """Kumar et al. 2018: R squared of the regression of each factor on each code."""
    gaps = []
    for v in factors.T:
        first, second = top_two([np.corrcoef(z, v)[0, 1] ** 2 for z in codes.T])
        gaps.append(first - second)
    return sum(gaps) / len(gaps)


def one_vs_rest(z, v, z_test, values):
    """A regression for each value; what they say in units of their sum, (values, points)."""
    scores = np.array(
        [LogisticRegression().fit(z, v == value).predict_proba(z_test)[:, 1] for value in values]
    )
    return scores / scores.sum(axis=0)


def softmax(z, v, z_test, values, weight=1.0, penalty=1.0):
    """The most probable weights under a normal law, by Newton's method on all of them."""
    d, m = z.shape[1] + 1, len(values)
    x, y = np.column_stack([z, np.ones(len(z))]), v[:, None] == np.array(values)

    def told(points, weights):
        logits = points @ weights.reshape(d, m)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    prior = np.repeat(np.append(np.full(d - 1, penalty), 1e-9), m)  # free intercepts
    of_point = np.broadcast_to(weight, len(z))
    weights = np.zeros(d * m)
    for _ in range(50):
        p = told(x, weights)
        slope = (x.T @ (of_point[:, None] * (p - y))).ravel() + prior * weights
        spread = np.einsum("na,nb->nab", p, -p) + np.einsum("na,ab->nab", p, np.eye(m))
        curve = np.einsum("n,ni,nj,nab->iajb", of_point, x, x, spread).reshape(d * m, d * m)
        weights = weights - np.linalg.solve(curve + np.diag(prior), slope)
    return told(np.column_stack([z_test, np.ones(len(z_test))]), weights).T


def explicitness(codes, factors, seed, fit=softmax):
    """Ridgeway & Mozer 2018, sec. 3: the area is the share of pairs that are in order."""
    train, test = split(len(codes), np.random.default_rng(seed))
    mean, std = codes[train].mean(axis=0), codes[train].std(axis=0)
    z = (codes - mean) / std
    areas_of_factors = []
    for v in factors.T:
        values = sorted(set(v[train].tolist()))
        scores = fit(z[train], v[train], z[test], values)
        areas = []
        for value, score in zip(values, scores, strict=True):
            yes, no = score[v[test] == value], score[v[test] != value]
            ordered = [1.0 if a > b else 0.5 if a == b else 0.0 for a in yes for b in no]
            areas.append(sum(ordered) / len(ordered))
        areas_of_factors.append(sum(areas) / len(areas))
    return sum(areas_of_factors) / len(areas_of_factors)


def concentrations(rows):
    """One minus the entropy of each row in units of log(length); and each row's sum."""
    total = [sum(row) for row in rows]
    spread = [
        -sum(r / t * log(r / t) for r in row if r > 0) / log(len(row))
        for row, t in zip(rows, total, strict=True)
    ]
    return [1 - s for s in spread], total


def dci(codes, factors, seed):
    """Eastwood & Williams 2018, sec. 2, with Locatello et al.'s learner: D, C and I."""
    rng = np.random.default_rng(seed)
    train, test = split(len(codes), rng)
    columns, right = [], []
    for v in factors.T:
        trees = GradientBoostingClassifier(random_state=int(rng.integers(2**31)))
        trees.fit(codes[train], v[train])
        columns.append([float(r) for r in trees.feature_importances_])
        right.append(np.mean(trees.predict(codes[test]) == v[test]))
    rows = [[column[i] for column in columns] for i in range(codes.shape[1])]
    averages = []
    for matrix in (rows, columns):
        values, weights = concentrations(matrix)
        whole = sum(weights)
        averages.append(sum(x * w / whole for x, w in zip(values, weights, strict=True)))
    return (*averages, np.mean(right))


def grouped(factor, n_groups, rng):
    """Draw a point for each group; its value's points, in their order, are those to choose from."""
    members = {value: np.flatnonzero(factor == value) for value in set(factor.tolist())}
    eligible = [y for y in factor.tolist() if len(members[y]) > 1]
    return [members[eligible[i]] for i in rng.integers(len(eligible), size=n_groups)]


def factor_vae(codes, factors, seed, n_train, n_test, batch_size):
    """Kim & Mnih 2018, sec. 4: a majority vote classifier, one vote at a time."""
    rng = np.random.default_rng(seed)
    k = factors.shape[1]
    scale = np.var(codes, axis=0, ddof=1)
    parts = split(len(codes), rng)
    ballots = []
    for part, n_votes in zip(parts, (n_train, n_test), strict=True):
        table = Counter()
        for j, count in enumerate(rng.multinomial(n_votes, [1 / k] * k)):
            points = grouped(factors[part, j], count, rng)
            sizes = np.array([[len(p)] for p in points])
            drawn = rng.integers(sizes, size=(count, batch_size))
            for members, places in zip(points, drawn, strict=True):
                batch = codes[part][members[places]]
                table[int(np.argmin(batch.var(axis=0, ddof=1) / scale)), j] += 1
        ballots.append(table)
    train, test = ballots
    owner = [max(range(k), key=lambda j: train[code, j]) for code in range(codes.shape[1])]
    return sum(test[code, j] for code, j in enumerate(owner)) / n_test


def beta_vae(codes, factors, seed, n_train, n_test, batch_size):
    """Higgins et al. 2017, sec. 3: one example at a time."""
    rng = np.random.default_rng(seed)
    k = factors.shape[1]
    sets = []
    parts = split(len(codes), rng)
    for part, n_examples in zip(parts, (n_train, n_test), strict=True):
        x, y = [], []
        for j, count in enumerate(rng.multinomial(n_examples, [1 / k] * k)):
            points = grouped(factors[part, j], count * batch_size, rng)
            first = rng.integers([len(p) for p in points])
            step = rng.integers(1, [len(p) for p in points])
            for start in range(0, len(points), batch_size):
                total = np.zeros(codes.shape[1])
                for i in range(start, start + batch_size):
                    other = (first[i] + step[i]) % len(points[i])
                    one, two = points[i][first[i]], points[i][other]
                    total += abs(codes[part][one] - codes[part][two])
                x.append(total / batch_size)
                y.append(j)
        sets.append((x, y))
    (x, y), (x_test, y_test) = sets
    predicted = LogisticRegression(max_iter=1_000).fit(x, y).predict(x_test)
    return np.mean(predicted == y_test)


def udr(models, similarity):
    """Duan et al. 2020, all codes weighted alike; the score of each model."""
    models = [(z - z.mean(axis=0)) / z.std(axis=0) for z in models]
    scores = []
    for j, b in enumerate(models):
        matches = []
        for i, a in enumerate(models):
            if i == j:
                continue
            if similarity == "lasso":
                r = np.array([abs(Lasso(alpha=0.1).fit(a, target).coef_) for target in b.T]).T
            else:
                r = np.array([[abs(spearmanr(x, y).statistic) for y in b.T] for x in a.T])
            total = 0.0
            for line in (*r, *r.T):
                if sum(line) > 0:
                    total += max(line) ** 2 / sum(line)
            matches.append(total / sum(r.shape))
        scores.append(np.median(matches))
    return scores
