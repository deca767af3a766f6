"""The Korean documents keep one term for one thing, the polite style, and nothing in English."""

import re

import korean
import pytest

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


@pytest.mark.parametrize("file", korean.korean_documents(), ids=lambda file: file.name)
def test_a_document_is_in_one_korean(file):
    wrong = [(text, found) for text in korean.prose_of(file) if (found := korean.faults(text))]
    assert not wrong, "\n".join(f"{', '.join(found)}\n    {text}" for text, found in wrong)


@pytest.mark.parametrize("file", korean.korean_documents(), ids=lambda file: file.name)
def test_a_document_has_prose(file):
    assert sum(bool(korean.HANGUL.search(text)) for text in korean.prose_of(file)) >= 5


def test_the_first_page_has_the_terms_of_the_book():
    texts = "\n".join(korean.prose_of(korean.ROOT / "README.ko.md"))
    assert [term for term in BOOK if term not in texts] == []


def test_a_name_is_read_in_one_way():
    texts = [text for file in korean.korean_documents() for text in korean.markdown_of(file)]
    assert korean.said_in_two_ways(texts) == []
    assert sum(len(korean.PARTICLE.findall(text)) for text in texts) > 100
    assert korean.said_in_two_ways(["`op`은 `x`를 받고", "`op()`는 `x`와 `y`를"]) == ["op"]


@pytest.mark.parametrize("file", korean.korean_documents(), ids=lambda file: file.name)
def test_a_document_leads_to_korean_where_there_is_some(file):
    for text in korean.markdown_of(file):
        for words, link in re.findall(r"\[([^\]]*)\]\(([^)#:]+)", text):
            target = file.parent / link
            twin = target.with_suffix(f".ko{target.suffix}")
            is_korean = words == "English" or ".ko." in link
            assert is_korean or not twin.exists(), f"{link}: there is {twin.name}"


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
        "배열의 모양입니다.",
        "인자를 넘깁니다.",
        "손으로 쓴 역전파입니다.",
        "손으로 잘 쓴 코드를 1이라 합니다.",
        "손으로 적은 역전파입니다.",
        "직접 쓴 역전파입니다.",
        "마지막 계층의 기울기를 직접 써 봅시다.",
        "역전파를 소스로 써 줍니다.",
        "2차 미분을 구합니다.",
        "이계 도함수입니다.",
        "규칙을 증명합니다.",
        "유한 차분과 견주어 봅니다.",
        "다음 다섯 칸을 실행합니다.",
        "사용한 기계입니다.",
        "선택 설치 이름입니다.",
        "자료형은 그대로입니다.",
        "jax로 실행합니다.",
        "[채점과 관례](x.md)를 읽으십시오.",
        "한 페이지에 담은 엔진입니다.",
        "노트북의 셀입니다.",
        "예제 입력으로 확인합니다.",
        # spaces
        "기울기를 구할수 있습니다.",
        "기울기를 구할 수있습니다.",
        "고치지않고 넘깁니다.",
        "학습하기위해 만듭니다.",
        "`x` 부터 시작합니다.",
        "행 마다 더합니다.",
        # another language's turns
        "그래프에 의해 계산됩니다.",
        "기억되어집니다.",
        "이름을 가지고 있습니다.",
        "미분하는 것이 가능합니다.",
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
    (paragraph,) = korean.paragraphs(text)
    assert korean.faults(paragraph)


@pytest.mark.parametrize(
    "text",
    [
        "순전파를 한 번 실행합니다. 손실은 0.3입니다.",
        "하이퍼파라미터를 정합니다.",
        "빈칸이 있는 행입니다. 기계어로 컴파일합니다.",
        "여섯 채 가운데 하나씩 고릅니다. 그다음에 마지막 수까지 봅니다.",
        '주피터 노트북에서 실행합니다. `backend="jax"`를 씁니다.',
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
    (paragraph,) = korean.paragraphs(text)
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
    assert korean.paragraphs(text) == [
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


def test_the_prose_of_a_program_is_its_docstrings_and_comments():
    program = '''"""제목: 이야기입니다.

    python program.py

둘째 문단은
두 줄입니다.
"""

# 1. 규칙
#
# 첫 줄과
# 둘째 줄입니다.

x = 1  # 끝에 있습니다


def f():
    """합을 돌려줍니다.

    >>> f()
    3
    """
    return "포워드한다."
'''
    found = [p for text in korean.docstrings(program) for p in korean.paragraphs(text)]
    assert found == ["제목: 이야기입니다.", "둘째 문단은 두 줄입니다.", "합을 돌려줍니다."]
    found = [p for text in korean.comments(program) for p in korean.paragraphs(text)]
    assert found == ["규칙", "첫 줄과 둘째 줄입니다.", "끝에 있습니다"]
