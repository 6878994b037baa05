"""What the sample report says: an invented bank's mortgage model, in numbers that hang together."""

from reports.content import Criterion, Group, Importance, Metric, Particular, PurposeCount, Rule, Verdict

ANSWER = (
    "Version 2.0.0 may be used in production. It meets nine of the ten rules of the policy in force; the tenth, on a "
    "group of six people, cannot be judged and was waived by two officers. The ratio of selection rates between black "
    "and white applicants rose from 0.71 in version 1 to 0.85."
)

PURPOSE = (
    "Ranks mortgage applications by the probability of denial so that an underwriter reviews the likely denials first. "
    "It decides nothing by itself."
)

NOT_COVERED = (
    "Sex, age and marital status: the data do not hold them.",
    "Drift since deployment: no production scores were recorded before the date of this report.",
    "The underwriters' decisions that follow the model's ranking.",
)

VERDICTS = (
    Verdict("Lineage", "pass", "Every dataset, run and artifact is registered and found in the ledger."),
    Verdict("Performance", "pass", "The area under the ROC curve is 0.841 on 477 held-out rows; the policy asks 0.75."),
    Verdict("Explanation", "pass", "Attributions add up to the model's output on every explained row."),
    Verdict("Fairness by race", "pass", "The parity ratio is 0.853, limit 0.80; its interval reaches below the limit."),
    Verdict("Fairness, other groups", "insufficient_data", "Six people in the held-out rows; 30 are required."),
    Verdict("Approvals", "pass", "Two officers signed; neither trained the model nor produced its evidence."),
)

LIMITATIONS = (
    "The applications are from Boston in 1990. Nothing here shows that the model is right for another place or time.",
    (
        "Fairness is judged by race alone and on 79 black applicants; the interval of the parity ratio reaches from "
        "0.75 to 0.97, so a true ratio below the limit is not excluded."
    ),
    "Attributions describe the model, not the causes of denials.",
    (
        "The certificate that signs this report was issued by the installation itself; no time-stamping authority "
        "vouches for the time of signing."
    ),
)

METRICS = (
    Metric("Area under the ROC curve", "held-out rows", 477, 0.8412, 0.7911, 0.8874),
    Metric("Brier score", "held-out rows", 477, 0.0823, 0.0694, 0.0961),
    Metric("Recall of denials at the operating point", "held-out rows", 57, 0.614, 0.4843, 0.7293),
)

IMPORTANCES = (
    Importance("debt payments to income ratio", 0.6121, 0.5712, 0.6544),
    Importance("credit history: consumer", 0.4382, 0.4021, 0.4755),
    Importance("denied mortgage insurance", 0.3127, 0.2543, 0.3768),
    Importance("loan to value ratio", 0.2874, 0.2611, 0.3149),
    Importance("public bad credit record", 0.2411, 0.2003, 0.2854),
    Importance("self-employed", 0.1203, 0.1011, 0.1402),
    Importance("housing expense to income ratio", 0.1174, 0.1032, 0.1321),
    Importance("credit history: mortgage", 0.0921, 0.0804, 0.1049),
    Importance("single", 0.0712, 0.0633, 0.0795),
    Importance("probability of unemployment in the applicant's industry", 0.0648, 0.0571, 0.0729),
    Importance("condominium", 0.0304, 0.0251, 0.0361),
    Importance("loan amount", 0.0212, 0.0173, 0.0256),
    Importance("year built", 0.0031, 0.0019, 0.0044),
)

RECEIPT = (
    Particular("Engine", "shap 0.54.1, TreeExplainer, interventional"),
    Particular("Model library", "xgboost 3.4.1"),
    Particular("Output space", "raw margin (log-odds)"),
    Particular("Background", "256 rows of the training data"),
    Particular("Digest of the background", f"sha256:{'5c' * 32}"),
    Particular("Seed", "20261118"),
    Particular("Largest additivity error", "3.1e-06 log-odds over 477 rows"),
)

GROUPS = (
    Group("white", 392, 0.9056, 0.8727, 0.9307, 0.6207, 0.0539),
    Group("black", 79, 0.7722, 0.6686, 0.8507, 0.6522, 0.125),
    Group("other or not stated", 6, None, None, None, None, None),
)

CRITERIA = (
    Criterion(
        name="Demographic parity ratio",
        verdict="pass",
        observed=0.8527,
        low=0.7531,
        high=0.9655,
        comparison=">=",
        threshold=0.8,
        threshold_source="29 CFR 1607.4(D), four-fifths rule, adopted by the bank's fair-lending policy 4.2",
        message="The selection rate of black applicants is 0.853 of that of white applicants.",
    ),
    Criterion(
        name="Equal opportunity difference",
        verdict="pass",
        observed=0.0315,
        low=None,
        high=None,
        comparison="<=",
        threshold=0.1,
        threshold_source="Fair-lending policy 4.3",
        message="True positive rates differ by 3.1 percentage points.",
    ),
    Criterion(
        name="Demographic parity ratio, other",
        verdict="insufficient_data",
        observed=None,
        low=None,
        high=None,
        comparison=">=",
        threshold=0.8,
        threshold_source="29 CFR 1607.4(D)",
        message="Six people are too few to judge; 30 are required.",
    ),
)

RULES = (
    Rule("lineage.complete", "Data and run are registered", "pass", "2 datasets, 1 run", "1 of each", "Registered."),
    Rule("performance.auc", "Ranks better than the floor", "pass", "0.841", ">= 0.750", "Met on 477 rows."),
    Rule("performance.brier", "Probabilities are calibrated", "pass", "0.082", "<= 0.120", "Met on 477 rows."),
    Rule("explain.additivity", "Attributions add up", "pass", "3.1e-06", "<= 1e-03", "Met on every row."),
    Rule("explain.fresh", "Explanation is younger than 30 days", "pass", "3 days", "<= 30 days", "Met."),
    Rule("bias.race.ratio", "Parity ratio by race", "pass", "0.853", ">= 0.800", "Met for 79 black applicants."),
    Rule(
        id="bias.race.small",
        title="Every group is large enough to judge",
        outcome="waived",
        observed="6",
        expected=">= 30",
        message="Waived by two officers until 2027-02-19: the group is named in the limitations.",
    ),
    Rule("bias.race.tpr", "True positive rates are close", "pass", "0.031", "<= 0.100", "Met."),
    Rule("approval.quorum", "Two officers approve", "pass", "2", ">= 2", "Met by distinct people."),
    Rule("approval.independent", "No approver took part in the work", "pass", "none did", "none", "Met."),
)

APPROVERS = (
    (
        "Dr. Ingrid Sørensen-Vũ",
        "Head of model risk",
        "Validation findings of version 1 are closed; the parity ratio now meets policy 4.2 with its interval stated.",
    ),
    (
        "Tomasz Wójcik",
        "Fair-lending compliance officer",
        "Reweighing uses no protected attribute at decision time. I reviewed the per-group error rates.",
    ),
)

PURPOSES = (
    PurposeCount("TREAT", "Treatment", 96, 11),
    PurposeCount("HPAYMT", "Payment", 21, 3),
    PurposeCount("HOPERAT", "Health-care operations", 14, 2),
)
