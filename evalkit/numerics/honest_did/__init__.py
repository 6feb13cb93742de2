"""Honest confidence intervals when parallel trends may fail (Rambachan & Roth 2023), one idea a file.

Vocabulary
    δ           the violation of parallel trends: the coefficients' expectation is τ + δ, with τ = 0 before the
                reference period and δ = 0 in it.
    l           (T,) weights of the post effects; the target is θ = l'τ_post.
    step        δ_t − δ_(t−1), the change of the violation from one period to the next.
    Δ^RM(M̄)     relative magnitudes: no post step is larger than M̄ times the largest pre step.
    Δ^SD(M)     smoothness: the step changes by at most M from one period to the next; M = 0 is a linear trend.
    C-LF        conditional-least-favourable hybrid test (Andrews, Roth & Pakes 2023).
    FLCI        fixed-length confidence interval (Armstrong & Kolesár 2018, 2020).
    breakdown   the largest M̄ or M at which the interval still excludes zero.

The reference distribution is normal throughout, as in the papers.

Sources
    Rambachan, A. & Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies
        90(5), 2555–2591.
    Andrews, I., Roth, J. & Pakes, A. (2023). Inference for linear conditional moment inequalities. Review of
        Economic Studies 90(6), 2763–2791.
    Armstrong, T. & Kolesár, M. (2018). Optimal inference in a class of regression models. Econometrica 86(2),
        655–683; (2020). Simple and honest confidence intervals in nonparametric regression. Quantitative
        Economics 11(1), 1–39.
"""
