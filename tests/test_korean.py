"""The Korean documents keep one term for one thing, the polite style, and nothing in English."""

import korean
import pytest
from documents import MARKDOWN, parsed

# What a reader of the book looks for.
BOOK = (
    "순전파",
    "역전파",
    "미니배치",
    "은닉 계층",
    "편미분",
    "경사하강법",
    "손실",
    "가중치",
    "편향",
    "에포크",
)


@pytest.mark.parametrize("name", korean.names())
def test_a_document_is_in_one_korean(name):
    texts = korean.prose_of(parsed(name))
    wrong = [(text, found) for text in texts if (found := korean.faults(text))]
    assert not wrong, "\n".join(f"{', '.join(found)}\n    {text}" for text, found in wrong)


@pytest.mark.parametrize("name", korean.names())
def test_a_document_has_prose(name):
    assert sum(bool(korean.HANGUL.search(text)) for text in korean.prose_of(parsed(name))) >= 5


def test_the_terms_of_the_book_are_used():
    texts = "\n".join(text for name in korean.names() for text in korean.prose_of(parsed(name)))
    assert [term for term in BOOK if term not in texts] == []


@pytest.mark.parametrize(
    "text",
    [
        "전방 전파를 실행합니다.",
        "포워드 함수입니다.",
        "미니 배치를 나눕니다.",
        "은닉층이 두 개입니다.",
        "히든 레이어를 더합니다.",
        "경사 하강법으로 학습합니다.",
        "바이어스를 더합니다.",
        "20 에폭을 학습합니다.",
        "모델을 훈련합니다.",
        "옵티마이저를 만듭니다.",
        "파라미터를 감쌉니다.",
        "그래디언트를 구합니다.",
        "크로스 엔트로피입니다.",
        "배열이 브로드캐스트됩니다.",
        "테스트셋에서 잽니다.",
        # style
        "손실을 계산한다.",
        "이것은 텐서이다. 다음을 봅니다.",
        "다음과 같다: `x`",
        "손실을 **계산한다.**",
        "(손실을 계산한다.)",
        "손실을 계산해요.",
        "실행해 보세요.",
        "왜 그럴까요?",
        "그렇죠!",
        # language
        "The loss is computed by your own code.",
        "손실은 the loss that your own code has computed 입니다.",
    ],
)
def test_wrong_korean_is_seen(text):
    (paragraph,) = korean.prose_of(MARKDOWN.parse(text))
    assert korean.faults(paragraph)


@pytest.mark.parametrize(
    "text",
    [
        "순전파를 한 번 실행합니다. 손실은 0.3입니다.",
        "하이퍼파라미터를 정합니다.",
        "틀린 줄 하나 찾기",
        "에포크마다 정확도를 잽니까?",
        "이것보다 더 필요.",
        "UCI Machine Learning Repository, CC BY 4.0",
        "NumPy, PyTorch, `jax`",
        "[순전파](forward_of_the_book.md)를 읽으십시오.",
        "`a layer of the net is hidden`을 씁니다.",
    ],
)
def test_right_korean_is_left_alone(text):
    (paragraph,) = korean.prose_of(MARKDOWN.parse(text))
    assert korean.faults(paragraph) == []


def test_code_is_no_prose_and_each_part_is_by_itself():
    text = """\
# 제목

첫 문단은
두 줄입니다.

```python
forward = 1  # 포워드한다.
```

1. 첫째 `x`
2. 둘째
   이어집니다.

| 이름 | 뜻 |
| --- | --- |
| `W` | 가중치 |
<!-- 훈련한다. -->
"""
    assert korean.prose_of(MARKDOWN.parse(text)) == [
        "제목",
        "첫 문단은 두 줄입니다.",
        "첫째 C",
        "둘째 이어집니다.",
        "이름",
        "뜻",
        "C",
        "가중치",
    ]


def test_no_term_is_a_variant_of_another():
    assert {term: korean.faults(term) for term in korean.TERMS if korean.faults(term)} == {}
