# Regenerates metafor_across.json with R's metafor (Debian: apt-get install r-cran-metafor):
#   Rscript metafor_across.R > metafor_across.json
# Data: 13 trials of BCG (Colditz et al. 1994), dat.bcg of metadat; log risk ratios. Only metafor's results are
# written; the trials are in meta_analysis_data.py.
suppressMessages(library(metafor))
dat <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
tight <- list(tol = 1e-14, threshold = 1e-12, maxiter = 10000)
num <- function(x) paste0("[", paste(ifelse(is.na(x), "null", sprintf("%.15g", as.numeric(x))), collapse = ", "), "]")
one <- function(...) {
  parts <- list(...)
  paste0("{", paste(sprintf('"%s": %s', names(parts), unlist(parts)), collapse = ", "), "}")
}
text <- function(x) paste0('"', x, '"')
models <- list(ablat = ~ ablat, ablat_year = ~ ablat + year, alloc = ~ alloc)
fits <- c()
for (name in names(models)) for (method in c("FE", "DL", "PM", "REML")) for (test in c("z", "knha", "adhoc")) {
  f <- rma(yi, vi, mods = models[[name]], data = dat, method = method, test = test, control = tight)
  fits <- c(fits, one(model = text(name), method = text(method), test = text(test),
    beta = num(f$beta), se = num(f$se), pval = num(f$pval), tau2 = num(f$tau2),
    QE = num(f$QE), QEp = num(f$QEp), QM = num(f$QM), QMp = num(f$QMp),
    R2 = num(if (is.null(f$R2)) NA else f$R2), I2 = num(f$I2), H2 = num(f$H2)))
}
base <- function(test) rma(yi, vi, data = dat, method = "REML", test = test, control = tight)
with_mod <- function(test) rma(yi, vi, mods = ~ ablat, data = dat, method = "REML", test = test, control = tight)
inf <- c()
for (name in c("none", "ablat")) for (test in c("z", "knha")) {
  f <- if (name == "none") base(test) else with_mod(test)
  i <- influence(f)
  inf <- c(inf, one(model = text(name), test = text(test), rstudent = num(i$inf$rstudent),
    dffits = num(i$inf$dffits), cooks = num(i$inf$cook.d), covariance_ratio = num(i$inf$cov.r),
    tau2 = num(i$inf$tau2.del), qe = num(i$inf$QE.del), hat = num(i$inf$hat),
    weight = num(i$inf$weight / sum(i$inf$weight)), dfbetas = num(unlist(unclass(i$dfbs)[seq_len(f$p)])),
    influential = num(i$is.infl)))
}
loo <- leave1out(base("z"))
cum <- cumul(base("z"), order = dat$year)
egger <- regtest(base("z"), model = "lm")
egger_rma <- regtest(rma(yi, vi, data = dat, method = "REML", control = tight), model = "rma")
groups <- lapply(split(seq_len(nrow(dat)), dat$alloc), function(rows)
  rma(yi, vi, data = dat, subset = rows, method = "REML", control = tight))
cat('{"metafor": ', text(as.character(packageVersion("metafor"))), ',\n',
  '"fits": [\n', paste(fits, collapse = ",\n"), '\n],\n"influence": [\n', paste(inf, collapse = ",\n"), '\n]',
  ',\n"leave_one_out": ', one(estimate = num(loo$estimate), se = num(loo$se), tau2 = num(loo$tau2), I2 = num(loo$I2), Q = num(loo$Q)),
  ',\n"cumulative": ', one(order = num(order(dat$year) - 1), estimate = num(cum$estimate), se = num(cum$se), tau2 = num(cum$tau2)),
  ',\n"egger": ', one(slope_t = num(egger$zval), p = num(egger$pval), limit = num(egger$est), low = num(egger$ci.lb), high = num(egger$ci.ub)),
  ',\n"egger_rma": ', one(z = num(egger_rma$zval), p = num(egger_rma$pval), limit = num(egger_rma$est)),
  ',\n"groups": {', paste(sprintf('"%s": %s', names(groups), sapply(groups, function(f) one(estimate = num(f$beta), se = num(f$se), tau2 = num(f$tau2)))), collapse = ", "), '}',
  '}\n', sep = "")
