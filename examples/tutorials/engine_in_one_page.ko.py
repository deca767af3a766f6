"""한 쪽짜리 엔진: 코드 60줄쯤 되는 역방향 자동 미분을, 생각이 이어지는 순서대로 이야기합니다.

    python examples/tutorials/engine_in_one_page.ko.py

실행하면 두 번 미분하고, 역전파를 소스로 적고, 작은 신경망을 학습시킵니다. tinygrad_steel을 줄인 것으로, 이름도
라이브러리와 같고 기울기도 같습니다. 기울기가 같은지는 테스트가 확인합니다
(`tests/examples/test_engine_in_one_page.py`). 1절부터 5절까지가 엔진이고, 6절은 규칙이며, 7절에서 둘을 함께 씁니다.
라이브러리에 더 있는 것은 끝에 적었습니다. 코드는 영어판과 한 글자도 다르지 않습니다.
"""

from itertools import count

import numpy as np

# 1. 규칙
#
# 손실은 작은 함수들이 길게 이어진 것입니다. 그 가운데 하나를 y = f(x)라 하고, y가 변할 때 손실이
# 얼마나 변하는지는 이미 안다고 합시다. 곧 손실을 y의 원소 하나하나로 편미분한 값을 압니다. 원소마다
# 수가 하나씩 있으니 y와 형상이 같습니다. 이 수들을 g라 부릅니다. g는 y의 기울기입니다.
#
# f의 규칙은 g에서 x의 기울기를 만듭니다. 이것을 벡터-야코비 곱, 줄여서 vjp라 합니다. y를 x로 편미분한
# 값을 모두 늘어놓은 행렬에 g를 곱한 것이기 때문입니다. 그러나 그 행렬을 실제로 만들지는 않습니다.
# y = a * b이고 a와 b의 원소가 백만 개씩이라면, 행렬의 원소는 백만의 제곱 개이고 거의 모두 0입니다. 곱하고
# 나면 남는 것은 g * b뿐입니다.
#
# 그러므로 연산이란 NumPy 함수 하나와, 입력마다 하나씩 있는 vjp입니다. vjp는 vjp(g, y, *inputs)로
# 부릅니다. 자주 쓰는 것이 앞에 옵니다. vjp가 없는 연산의 결과는 미분할 때 상수로 봅니다. 비교가 그렇습니다.

VJPS = {}


def op(forward, *vjps):
    """NumPy 함수의 vjp가 무엇인지 적어 둡니다."""
    VJPS[forward] = vjps


# 2. 텐서는 기억합니다
#
# 배열은 자신이 어떻게 계산되었는지 모릅니다. 텐서는 그것을 아는 배열입니다. 자신을 만든 연산과 입력,
# 그리고 axis=..., keepdims=... 같은 인수를 간직합니다. 연산이 없는 텐서는 계산이 시작되는 곳이고,
# 잎(leaf)이라 부릅니다. 데이터이거나 학습할 매개변수입니다.
#
# 모델을 짜는 사람은 그저 NumPy를 씁니다. 인수 가운데 텐서가 있으면 NumPy가 호출을 텐서에 넘깁니다.
# np.add 같은 함수는 __array_ufunc__로, np.sum 같은 함수는 __array_function__으로 넘깁니다. a + b를
# np.add(a, b)로 바꾸어 주는 것은 NDArrayOperatorsMixin입니다.
#
# 계산 그래프를 따로 선언하지 않으므로, 코드와 그래프가 어긋날 일도 없습니다. 파이썬의 반복문과 조건문은
# 평소처럼 돌아가고, 실제로 실행된 것만 기억에 남습니다.

next_age = count().__next__


class Tensor(np.lib.mixins.NDArrayOperatorsMixin):
    """자신이 어떻게 계산되었는지 기억하여 기울기를 되돌려 보낼 수 있는 배열입니다."""

    def __init__(self, data, requires_grad=False, name=None):
        self.data = np.array(data, dtype=float)
        self.requires_grad, self.name, self.grad = requires_grad, name, None
        self.op, self.inputs, self.params = None, (), {}
        self.age = next_age()

    shape = property(lambda self: self.data.shape)

    def __array_ufunc__(self, ufunc, method, *inputs):
        return record(ufunc, inputs, {}) if method == "__call__" else NotImplemented

    def __array_function__(self, function, types, args, kwargs):
        return record(function, args, kwargs)

    def backward(self, gradient=1.0):
        """이 텐서의 기울기를, 이 텐서가 의존하는 잎들의 `.grad`에 더합니다."""
        for t, g in walk(self, np.full(self.shape, gradient)):
            if t.op is None:
                t.grad = g if t.grad is None else t.grad + g


def record(op, inputs, params):
    """입력의 배열들로 연산을 실행합니다. 결과는 그 사실을 기억합니다."""
    y = Tensor(op(*map(data_of, inputs), **params))
    y.op, y.inputs, y.params = op, inputs, params
    y.requires_grad = VJPS[op] != () and any(getattr(x, "requires_grad", False) for x in inputs)
    return y


def data_of(x):
    """텐서이면 그 배열을, 보통의 수나 배열이면 그대로 돌려줍니다."""
    return x.data if isinstance(x, Tensor) else x


# 3. 거슬러 올라가기
#
# 손실에서 잎까지 한 번 거슬러 올라가면 모든 매개변수의 기울기가 나옵니다. 반대 방향이라면 매개변수마다
# 한 번씩 가야 합니다. 그래서 학습할 때는 손실에서 거꾸로, 역전파를 합니다.
#
# 어떤 순서로 가야 합니까? 두 번 쓰인 텐서는 쓰인 곳마다 기울기를 한 몫씩 받고, 그 몫들을 더합니다.
# 손실로 가는 두 길의 편미분을 더하는 것과 같습니다. 마지막 몫이 도착한 뒤에야 자기 기울기를 넘길 수
# 있으니, 그 텐서를 입력으로 쓴 텐서가 모두 먼저 차례를 마쳐야 합니다. 이런 순서가 위상 순서이고, 애써 찾을
# 필요는 없습니다. 결과는 언제나 입력보다 나중에 만들어지므로, 나중에 만들어진 것부터 차례로 가면 됩니다.
# 만들어진 순서는 age에 적어 둡니다. 하나씩 커지는 번호일 뿐이고, 번호가 클수록 나중에 만들어졌습니다.
#
# (재귀가 더 간단해 보입니다. 그러나 b = a + a, c = b + b라면 재귀는 b의 기울기가 절반만 왔을 때 a로
# 가 버립니다. 그러면 그 절반을 두 번 세거나, 손실로 가는 길을 하나하나 따로 걷게 됩니다. 이런 단계가
# 스무 번이면 길은 백만 개입니다. 긴 반복문에서는 스택도 모자랍니다.)
#
# `pending`에는 아직 다 모이지 않은 기울기가 있습니다. 차례가 된 텐서는 자기 기울기를 거기에서 꺼냅니다. 그때는
# 기울기가 다 모여 있습니다. 더해 줄 텐서는 모두 나중에 만들어져서 이미 차례를 마쳤기 때문입니다. 그리고
# 다시 쓸 곳이 없으니 남겨 둘 필요도 없습니다. 깊은 신경망에서도 메모리에는 기울기가 몇 개만 있습니다.


def walk(root, g):
    """`root`에서 거슬러 올라갑니다. 나중에 만들어진 텐서부터, 다 모인 기울기와 함께 하나씩 내놓습니다."""
    pending = {root.age: (root, g)}
    while pending:
        y, g = pending.pop(max(pending))
        yield y, g
        for x, vjp in zip(y.inputs, VJPS.get(y.op, ())):
            if getattr(x, "requires_grad", False):
                gx = unbroadcast(send(vjp, g, y), x.shape)
                if x.age in pending:
                    gx = pending[x.age][1] + gx
                pending[x.age] = x, gx


# 4. 브로드캐스팅 되돌리기
#
# NumPy는 작은 배열을 되풀이하여 큰 배열에 맞춥니다. x @ weight + bias에서 형상이 (7,)인 bias는 행마다
# 더해집니다. 행이 열 개라면 bias의 원소는 저마다 열 곳에 쓰이고, 기울기를 열 몫 받아 더합니다. 그래서 bias의
# 기울기는 모든 행의 합입니다. 3절의 합과 같은 것이고, 쓰인 곳들이 한 배열 안에 나란히 있을 뿐입니다.
#
# np.add든 np.matmul이든 어느 연산이나 브로드캐스팅을 할 수 있고, 이 합을 잊는 것은 손으로 짠 역전파의
# 흔한 실수입니다. 여기에서는 거슬러 올라가는 길에서, 규칙이 끝난 뒤에, 한 곳에서만 더합니다. 그래서
# 규칙은 이것을 생각하지 않아도 됩니다. 덧셈의 규칙은 g를 양쪽에 그대로 넘깁니다. 반대도 됩니다. 규칙이
# 입력보다 작은 배열을 돌려주면 그것을 되풀이한 것으로 봅니다. 그래서 합의 규칙은 g를 넘기기만 합니다.


def unbroadcast(g, shape):
    """브로드캐스팅으로 되풀이된 축을 따라 기울기를 더하거나, 너무 작은 기울기를 늘립니다.

    >>> unbroadcast(np.array([[1, 2, 3], [10, 20, 30]]), (3,))
    array([11, 22, 33])
    """
    big = np.broadcast_shapes(g.shape, shape)
    if g.shape != big:
        g = np.broadcast_to(g, big)
    if shape != big:
        own = (1,) * (len(big) - len(shape)) + shape  # 앞에 없는 축은 길이가 1입니다
        copied = tuple(axis for axis, n in enumerate(own) if n != big[axis])
        g = np.reshape(np.sum(g, axis=copied), shape)
    return g


# 5. 규칙은 텐서로도 돌아갑니다
#
# 규칙은 NumPy 함수로 적혀 있고, NumPy 함수는 텐서도 받습니다. 배열을 주면 배열이 나옵니다. 이것이 backward()입니다.
# 같은 규칙에 텐서를 주면 규칙이 하는 계산도 여느 계산처럼 기록됩니다. 그러면 기울기도 자신이 어떻게
# 계산되었는지 아는 텐서이고, 거기에서 다시 거슬러 올라갈 수 있습니다. 이것이 grad()이고, grad를 두 번 하면
# 이계도함수입니다. 이를 위해 규칙을 따로 적지 않으니, 두 규칙이 어긋날 일도 없습니다.
#
# 여기에서 더 많은 것이 나옵니다. 기록된 역전파는 읽을 수 있습니다. 7절은 그것을 NumPy 소스로 적습니다.
# 라이브러리는 그것을 그림으로 그리고, 사람이 손으로 짠 역전파와 비교하고, 컴파일합니다.
#
# 그 대신 규칙은 두 가지를 지켜야 합니다. 기록된 것이 그대로 있어야 하므로 아무것도 제자리에서 고치지
# 않습니다. 그리고 입력에서 꺼낸 수가 아니라 입력 자체로 계산합니다. 꺼낸 수는 자신이 어디에서 왔는지 모릅니다.


def send(vjp, g, y):
    """`y`가 입력 하나에 보낼 기울기를 구합니다. `g`가 텐서이면 텐서로, 아니면 배열로 계산합니다."""
    if isinstance(g, Tensor):
        return vjp(g, y, *y.inputs, **y.params)
    return vjp(g, y.data, *map(data_of, y.inputs), **y.params)


def grad(y, xs, gradient=1.0):
    """`y`를 `xs` 각각으로 미분한 기울기를, 다시 미분할 수 있는 텐서로 돌려줍니다."""
    found = {t.age: g for t, g in walk(y, Tensor(np.full(y.shape, gradient)))}
    return [found[x.age] if x.age in found else Tensor(np.zeros(x.shape)) for x in xs]


# 6. 규칙들
#
# 이제 남은 것은 미분 공식 한 쪽입니다. f가 원소별 함수일 때 y = f(x)의 규칙은 g * f'(x)입니다. f'(x)를 y로
# 적을 수 있으면 그렇게 하는 것이 가장 좋습니다. exp는 미분해도 exp이므로 규칙이 g * y입니다.

op(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
op(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
op(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
op(np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)
op(np.negative, lambda g, y, x: -g)
op(np.exp, lambda g, y, x: g * y)
op(np.log, lambda g, y, x: g / x)
op(np.tanh, lambda g, y, x: g * (1 - y * y))
op(np.greater)
op(np.equal)

# 행렬, 또는 행렬을 쌓은 것: 형상이 맞아야 하므로 g와 다른 쪽 행렬을 곱하는 방법은 하나뿐입니다.

op(
    np.matmul,
    lambda g, y, a, b: g @ np.swapaxes(b, -1, -2),
    lambda g, y, a, b: np.swapaxes(a, -1, -2) @ g,
)

# 원소를 옮겨 놓기만 하는 연산은, 기울기를 그 원소가 있던 자리로 돌려보냅니다. np.broadcast_to를 되돌리는
# 일은 4절의 합이 합니다.

op(np.swapaxes, lambda g, y, x, i, j: np.swapaxes(g, i, j))
op(np.reshape, lambda g, y, x, shape: np.reshape(g, x.shape))
op(np.expand_dims, lambda g, y, x, axis: np.reshape(g, x.shape))
op(np.broadcast_to, lambda g, y, x, shape: g)


def spread(g, axis, keepdims):
    """합이나 최댓값을 구하며 없어진 축을, 길이가 1인 축으로 되돌려 놓습니다."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


op(np.sum, lambda g, y, x, axis=None, keepdims=False: spread(g, axis, keepdims))

# 두 수 가운데 큰 것을 고르는 함수는 두 수가 같은 곳에서 꺾입니다. 한쪽에서는 기울기가 모두 a로 가고, 다른
# 쪽에서는 모두 b로 갑니다. 그 사이라면 어떻게 나누어도 틀리지 않으니, 하나를 골라야 합니다. 절반씩 나누면
# 어느 것을 먼저 적었는지에 따라 달라지지 않습니다. 양쪽으로 잰 유한 차분의 평균이기도 해서, 유한 차분으로
# 확인해도 맞습니다. 양쪽에 다 주면 틀립니다. np.maximum(x, x)는 x인데 기울기가 2가 됩니다. 축을 따라
# 구한 max에서는 가장 큰 원소들이 기울기를 똑같이 나누어 가집니다.

op(
    np.maximum,
    lambda g, y, a, b: g * ((a > b) + 0.5 * (a == b)),
    lambda g, y, a, b: g * ((b > a) + 0.5 * (a == b)),
)


def max_vjp(g, y, x, axis=None, keepdims=False):
    """가장 큰 원소들이 기울기를 똑같이 나누어 가집니다."""
    hit = np.equal(x, spread(y, axis, keepdims))
    return spread(g, axis, keepdims) * (hit / np.sum(hit, axis=axis, keepdims=True))


op(np.max, max_vjp)


# 7. 모두 함께


def source(*results):
    """이 텐서들에 이르기까지 기록된 계산을, 먼저 한 것부터 NumPy 소스의 줄로 돌려줍니다."""
    history, waiting = {}, [*results]
    while waiting:
        t = waiting.pop()
        history[t.age] = t
        waiting += [x for x in t.inputs if isinstance(x, Tensor) and x.age not in history]
    return [f"{called(t)} = {call(t)}" for age, t in sorted(history.items()) if t.op]


def call(t):
    """텐서를 만든 호출을 적습니다."""
    params = [f"{key}={value!r}" for key, value in t.params.items()]
    return f"np.{t.op.__name__}({', '.join([*map(called, t.inputs), *params])})"


def called(x):
    """텐서는 이름으로, 이름이 없으면 번호로 부릅니다. 이름 없는 잎과 보통의 수는 값으로 적습니다."""
    if not isinstance(x, Tensor):
        return repr(x)
    return x.name or (f"t{x.age}" if x.op else f"np.array({x.data.tolist()})")


def network(x, weights, biases):
    """은닉 계층이 하나인 다층 퍼셉트론입니다."""
    hidden = np.maximum(x @ weights[0] + biases[0], 0)
    return hidden @ weights[1] + biases[1]


def train():
    """직선 하나로는 나눌 수 없는 배타적 논리합을 경사하강법으로 배웁니다."""
    rng = np.random.default_rng(0)
    x, labels = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    weights = [Tensor(rng.normal(size=shape), requires_grad=True) for shape in [(2, 8), (8, 1)]]
    biases = [Tensor(np.zeros(n), requires_grad=True) for n in (8, 1)]
    for step in range(101):
        difference = network(x, weights, biases) - labels
        loss = np.sum(difference * difference) / 4
        loss.backward()
        for t in [*weights, *biases]:
            t.data, t.grad = t.data - 0.1 * t.grad, None
        if step % 20 == 0:
            print(f"step {step:3}: loss {loss.data:.4f}")
    print("answers:", np.abs(network(x, weights, biases).data.round(1)).ravel())


def main():
    """두 번 미분하고, 역전파를 소스로 적고, 학습시킵니다."""
    x = Tensor(0.5, requires_grad=True)
    (slope,) = grad(np.tanh(x), [x])
    (curvature,) = grad(slope, [x])
    print(f"tanh at 0.5: slope {slope.data:.6f}, curvature {curvature.data:.6f}")

    x = Tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
    weight = Tensor([[0.5], [-0.5]], requires_grad=True, name="weight")
    loss = np.sum(np.tanh(x @ weight))
    print("\nforward and backward, as they were recorded:")
    print(*source(loss, *grad(loss, [weight])), sep="\n")

    print("\nexclusive or:")
    train()


if __name__ == "__main__":
    main()

# 라이브러리에 더 있는 것
#
# `tinygrad_steel/engine/tensor.py`에 Tensor와 record_op가, `backward.py`에 거슬러 올라가기가 있습니다. max(pending)은
# 기다리는 텐서가 많으면 느리므로 힙을 씁니다. `gradients.py`에는 grad가, `ops/`에는 규칙이 있고, 규칙마다 유한
# 차분으로 검증할 표본이 붙어 있습니다. 그 밖에도 잘못 쓰면(그 사이에 바뀐 데이터, 값을 써넣은 배열) 오류를 내며
# 고칠 방법을 알려 주고, dtype과 NaN과 무한대를 어떻게 다룰지 정해 두고, 필요 없는 것은 기록하지 않으며, NumPy의
# 다른 함수들도 받습니다. 기록된 손실은 `program/`이 읽어서 그림, 소스, 컴파일로 넘깁니다. 전체 구조는
# `tinygrad_steel/README.md`에 있습니다.
#
# 더 읽을거리: 자동 미분의 모든 것과 그 비용은 Griewank and Walther, "Evaluating Derivatives" (2008)에, 이렇게 배우는
# 신경망은 Rumelhart, Hinton and Williams (1986)에 있습니다. 둘 다 `sources.md`에 적어 두었습니다.
