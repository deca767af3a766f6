"""The Korean documents: what is prose in them, and what is wrong with a paragraph of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import documents
from markdown_it.token import Token

# One term for one thing: the one that is used, and what else it is called elsewhere. Where the book
# has a word for it, that is the one.
TERMS = {
    "순전파": r"전방 ?전파|순방향 ?전파|정방향 ?전파|포워드|순 전파",
    "역전파": r"후방 ?전파|역방향 ?전파|오차 ?역전파|백프롭|백 ?프로퍼게이션|백워드|역 전파",
    "미니배치": r"미니 배치|소배치",
    "은닉 계층": r"은닉층|은닉계층|은닉 층|은닉 레이어|히든",
    "계층": r"(?<!플)레이어",
    "편미분": r"편 미분|부분 ?미분|편도함수",
    "경사하강법": r"경사 하강|기울기 ?하강|경사강하|경사하강(?!법)",
    "손실 함수": r"손실함수|비용 ?함수|목적 ?함수|오차 ?함수",
    "기울기": r"그[래라레]디언트|그레이디언트|경사도|구배",
    "매개변수": r"(?<!하이퍼)파라[미메]터|매개 변수|(?<![가-힣])모수",
    "가중치": r"웨이트|가중값",
    "편향": r"바이어스|편향치|절편",
    "계산 그래프": r"계산그래프|연산 ?그래프|컴퓨테이션 ?그래프",
    "활성화 함수": r"활성화함수|활성 ?함수|액티베이션",
    "교차 엔트로피": r"교차엔트로피|크로스 ?엔트로피|상호 ?엔트로피",
    "소프트맥스": r"소프트 맥스",
    "시그모이드": r"시그 모이드|씨그모이드",
    "학습률": r"학습율|학습 률|러닝 ?레이트|학습 속도",
    "에포크": r"에폭|이포크",
    "정확도": r"정확율|정확률",
    "학습": r"훈련|트레이닝",
    "테스트 데이터": r"시험 ?데이터|테스트 ?(?:셋|세트)|평가 데이터|검사 데이터",
    "연산": r"오퍼레이[터션]",
    "텐서": r"텐써",
    "유한 차분": r"유한차분|유한 차이",
    "브로드캐스팅": r"브로드캐스트|브로드 캐스팅",
    "위상 순서": r"위상순서|토폴로지",
    "최적화기": r"옵티마이[저제]|최적화 도구",
    "벡터-야코비 곱": r"자코비|야코비안|벡터 야코비|야코비-벡터",
    "내보내기": r"익스포트|엑스포트",
    "원-핫 벡터": r"원핫|원 핫|원-핫 ?인코딩",
    "이진 판단": r"이진 ?분류|이항 ?분류",
    "선택 분류": r"다중 ?분류|다중 ?클래스|다범주 분류",
    "다층 퍼셉트론": r"다층퍼셉트론|멀티 ?레이어|다중 ?퍼셉트론",
    "합성곱": r"합성 곱|컨[볼벌]루션|콘볼루션",
    "주피터 노트북": r"쥬피터|주피터노트북",
    "배치 정규화": r"배치정규화|일괄 정규화",
    "드롭아웃": r"드롭 아웃|드랍아웃",
    "형상": r"[셰쉐]이프",
    "인수": r"(?<![가-힣])인자(?!리)",
    "표본": r"샘플",
}

HANGUL = re.compile(r"[가-힣]")
ENGLISH = re.compile(r"(?<![\w./-])[a-z][a-z'-]+(?![\w/-])")  # no name: these have capitals
IN_A_ROW = re.compile(r"(?:[a-z][a-z'-]+[ ,]+){5}[a-z]")
# A sentence ends in -니다, or in -시다; in -다 it is the style of a report, in -요 of a talk. Nouns may end so.
PLAIN = re.compile(r"(?<![니마보시])다(?=[.!?:]|$)")
TALKING = re.compile(r"(?:(?<![필개중주소수])요|죠)(?=[.!?:]|$)")


def names() -> list[str]:
    """All documents in Korean."""
    return [name for name in documents.documents() if ".ko." in name]


def prose_of(tokens: Iterable[Token]) -> list[str]:
    """Paragraphs, headings, items of lists and cells of tables, each in one line, without blocks of code."""
    lines = (token for token in tokens if token.type == "inline" and token.content)
    return [" ".join(words_of(line).split()) for line in lines]


def words_of(line: Token) -> str:
    """What one reads of a line. A name in code is a `C`: what is said of it goes on."""
    said = {"softbreak": " ", "code_inline": "C", "html_inline": ""}
    return "".join(said.get(part.type, part.content) for part in line.children or ())


def faults(paragraph: str) -> list[str]:
    """What is wrong with a paragraph of Korean, each in a few words."""
    found = [
        f"{other[0]}: here it is {term}"
        for term, others in TERMS.items()
        for other in re.finditer(others, paragraph)
    ]
    bare = re.sub(r"[\"')\]]", "", paragraph)
    if PLAIN.search(bare):
        found.append("ends in -다, and not in -니다")
    if TALKING.search(bare):
        found.append("ends in -요, and not in -니다")
    is_english = not HANGUL.search(bare) and len(ENGLISH.findall(bare)) >= 3
    if is_english or IN_A_ROW.search(bare):
        found.append("is left in English")
    return found
