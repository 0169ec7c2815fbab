"""Reference values, computed independently of the code under test: by enumeration or in closed form, in float64.

The estimators' setting: three bits with logits (0.3, -1, 0.8) and f by code number 4 z1 + 2 z2 + z3. Means and
variances per coordinate are sums over every code, and exact integrals over the uniform noise.
"""

LOGITS = (0.3, -1.0, 0.8)
F_BY_CODE = (1.0, -0.5, 2.0, 0.7, -1.2, 0.4, 3.0, -0.3)
BOUND = 0.18674316042956396
GRADIENT = (-0.03589538337782923, 0.18772949662504543, -0.0969751025278002)
VARIANCE = {
    "ARM-1": (0.16158624998193083, 0.19988454423004312, 0.22455896192235777),
    "DisARM-1": (0.1359109159229131, 0.18404971036215095, 0.20814648362603883),
    "LeaveOneOut-2": (0.22899210628664587, 0.25567154478585086, 0.30427959840133),
    "Reinforce-1": (0.23000206392575948, 0.3245721838284892, 0.4128047590573818),
    "Reinforce-2": (0.11500103196287974, 0.1622860919142446, 0.2064023795286909),
}
TOTAL_VARIANCE = {
    "ARM-1": 0.5860297561343317,
    "DisARM-1": 0.5281071099111029,
    "LeaveOneOut-2": 0.7889432494738268,
    "Reinforce-1": 0.9673790068116305,
    "Reinforce-2": 0.48368950340581524,
}
